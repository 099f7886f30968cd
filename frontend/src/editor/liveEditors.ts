/** Which cells have a live editor: those near the view, at most about 40; the others show static code. */

import { batch, type ReadonlySignal, type Signal, signal } from "@preact/signals";

const MOST_LIVE = 40;
const FIRST_DRAWN = 15; // what can be in the first view: drawn at once, so that nothing changes colour
const DRAWN_AT_ONCE = 4; // cells an idle moment
const NEAR_MARGIN = "400px 0px";

type Idle = (callback: () => void) => void;

const whenIdle: Idle = (callback) => {
  if (typeof requestIdleCallback === "function") requestIdleCallback(callback, { timeout: 500 });
  else setTimeout(callback, 30);
};

export class LiveEditors {
  readonly #live = new Map<string, Signal<boolean>>();
  /** Least recently wanted first. */
  readonly #recent = new Set<string>();
  readonly #near = new Set<string>();
  readonly #drawn = new Map<string, Signal<boolean>>();
  #undrawn: string[] = [];
  readonly #waiting = new Set<string>();
  readonly #elements = new Map<Element, string>();
  #observer: IntersectionObserver | null = null;
  #isScheduled = false;

  constructor(
    private readonly isPinned: (cellId: string) => boolean,
    private readonly idle: Idle = whenIdle,
    private readonly mostLive: number = MOST_LIVE,
  ) {}

  /** Starts to watch what is near in `scroller`. */
  attach(scroller: Element): void {
    this.#observer?.disconnect();
    if (typeof IntersectionObserver === "undefined") return;
    this.#observer = new IntersectionObserver((entries) => this.#onSeen(entries), { root: scroller, rootMargin: NEAR_MARGIN });
    for (const element of this.#elements.keys()) this.#observer.observe(element);
  }

  detach(): void {
    this.#observer?.disconnect();
    this.#observer = null;
  }

  /** Watches a cell's element; returns the function that stops it. */
  watch(element: Element, cellId: string): () => void {
    this.#elements.set(element, cellId);
    this.#observer?.observe(element);
    return () => {
      this.#observer?.unobserve(element);
      this.#elements.delete(element);
      this.#near.delete(cellId);
      this.#waiting.delete(cellId);
    };
  }

  isLive(cellId: string): ReadonlySignal<boolean> {
    return this.#signal(cellId);
  }

  /**
   * Whether the cell was near the view once, or its turn came while nothing else was to do: from then on it is
   * there with its outputs. Until then it costs next to nothing.
   */
  isDrawn(cellId: string): ReadonlySignal<boolean> {
    return this.#drawnSignal(cellId);
  }

  #drawnSignal(cellId: string): Signal<boolean> {
    let drawn = this.#drawn.get(cellId);
    if (!drawn) {
      this.#drawn.set(cellId, (drawn = signal(this.#drawn.size < FIRST_DRAWN || typeof IntersectionObserver === "undefined")));
      if (!drawn.peek()) {
        if (this.#undrawn.length === 0) this.idle(() => this.#drawSome());
        this.#undrawn.push(cellId);
      }
    }
    return drawn;
  }

  #drawSome(): void {
    const some = this.#undrawn.splice(0, DRAWN_AT_ONCE);
    batch(() => {
      for (const id of some) {
        const drawn = this.#drawn.get(id);
        if (drawn) drawn.value = true;
      }
    });
    if (this.#undrawn.length) this.idle(() => this.#drawSome());
  }

  get liveCount(): number {
    return this.#recent.size;
  }

  /** Gives the cell an editor now. */
  want(cellId: string): void {
    this.#waiting.delete(cellId);
    this.#recent.delete(cellId);
    this.#recent.add(cellId);
    batch(() => {
      this.#drawnSignal(cellId).value = true; // a new cell is typed in before the view has come to it
      this.#signal(cellId).value = true;
    });
    if (this.#recent.size <= this.mostLive) return;
    // Far ones go first; those in view only when more than the limit are in view.
    const candidates = [...this.#recent].filter((id) => id !== cellId && !this.isPinned(id));
    const victim = candidates.find((id) => !this.#near.has(id)) ?? candidates[0];
    if (victim !== undefined) this.forget(victim);
  }

  /** The cell goes back to static code (or is gone). */
  forget(cellId: string): void {
    this.#recent.delete(cellId);
    this.#waiting.delete(cellId);
    const live = this.#live.get(cellId);
    if (live) live.value = false;
  }

  #onSeen(entries: IntersectionObserverEntry[]): void {
    for (const entry of entries) {
      const cellId = this.#elements.get(entry.target);
      if (cellId === undefined) continue;
      if (entry.isIntersecting) {
        this.#near.add(cellId);
        const drawn = this.#drawn.get(cellId);
        if (drawn) drawn.value = true;
        if (!this.#signal(cellId).peek()) this.#waiting.add(cellId);
      } else {
        this.#near.delete(cellId);
        this.#waiting.delete(cellId);
      }
    }
    this.#schedule();
  }

  /** One editor an idle moment: a fast scroll makes none. */
  #schedule(): void {
    if (this.#isScheduled || this.#waiting.size === 0) return;
    this.#isScheduled = true;
    this.idle(() => {
      this.#isScheduled = false;
      const next = this.#waiting.values().next().value;
      if (next !== undefined && this.#near.size <= this.mostLive) this.want(next);
      else if (next !== undefined) this.#waiting.delete(next);
      this.#schedule();
    });
  }

  #signal(cellId: string): Signal<boolean> {
    let live = this.#live.get(cellId);
    if (!live) this.#live.set(cellId, (live = signal(false)));
    return live;
  }
}
