import { toast } from "../ui/toast";

const TEXT = "A part of this page could not be loaded: the hub was updated, or does not answer. Nothing you did is lost.";

/** Says what to do when a part that is loaded on demand is no longer there, as after an update of the hub. */
export function watchLateParts(): void {
  addEventListener("vite:preloadError", () => {
    toast({ kind: "error", text: TEXT, action: { label: "Reload the page", run: () => location.reload() }, durationMs: Infinity });
  });
}
