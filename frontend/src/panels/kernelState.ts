import type { TabStatus } from "../store/status";

type ShownState = NonNullable<TabStatus["kernel"]>["state"];

const TITLES: Readonly<Record<ShownState, string>> = {
  none: "Not started",
  pending: "Waiting",
  starting: "Starting",
  idle: "Idle",
  busy: "Busy",
  restarting: "Restarting",
  stopping: "Stopping",
  stopped: "Stopped",
  culled: "Stopped by the hub",
  killed: "Killed",
  died: "Died",
  failed: "Did not start",
  lost: "Lost",
  reconnecting: "Reconnecting",
};

/** A kernel's state in a word or two. */
export function kernelStateTitle(state: ShownState): string {
  return TITLES[state];
}
