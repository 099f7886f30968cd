/** Whether a cell was edited since it last ran: by the hash of the source the hub ran. */

import { type ReadonlySignal, useSignal, useSignalEffect } from "@preact/signals";
import { digest } from "lib0/hash/sha256";

const SETTLE_MS = 300; // hashing waits until the person pauses

export function sha256Hex(text: string): string {
  return Array.from(digest(new TextEncoder().encode(text)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function useEditedSinceRun(source: ReadonlySignal<string>, ranSha256: ReadonlySignal<string>): ReadonlySignal<boolean> {
  const isEdited = useSignal(false);
  useSignalEffect(() => {
    const text = source.value;
    const ran = ranSha256.value;
    if (!ran) {
      isEdited.value = false;
      return;
    }
    const timer = setTimeout(() => (isEdited.value = sha256Hex(text) !== ran), SETTLE_MS);
    return () => clearTimeout(timer);
  });
  return isEdited;
}
