/** Whether what was handed to the browser's storage is in it: until then a page that is closed takes it along. */

import { type ReadonlySignal, signal } from "@preact/signals";

const GATHER_MS = 100; // keystrokes of one burst are asked about together
const RETRY_MS = 2_000; // a storage that is full or forbidden

export class KeptWrites {
  readonly #isDone = signal(true);
  readonly isDone: ReadonlySignal<boolean> = this.#isDone;
  #count = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isAsking = false;
  #isDisposed = false;

  /** `confirm` settles when everything is stored that was handed over before it was called; it fails if it cannot be. */
  constructor(private readonly confirm: () => Promise<void>) {}

  /** Something was handed over. */
  note(): void {
    this.#count += 1;
    this.#isDone.value = false;
    this.#askIn(GATHER_MS);
  }

  dispose(): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
  }

  #askIn(delayMs: number): void {
    if (this.#isAsking || this.#isDisposed) return;
    this.#isAsking = true;
    this.#timer = setTimeout(() => void this.#ask(), delayMs);
  }

  async #ask(): Promise<void> {
    const count = this.#count;
    let isStored = true;
    try {
      await this.confirm();
    } catch {
      isStored = false;
    }
    this.#isAsking = false;
    if (this.#isDisposed) return;
    if (isStored && count === this.#count) this.#isDone.value = true;
    else this.#askIn(isStored ? GATHER_MS : RETRY_MS);
  }
}
