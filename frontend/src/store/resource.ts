import { computed, signal, type ReadonlySignal } from "@preact/signals";
import { HubError } from "../api/errors";

/** Something the hub keeps, as last fetched. An error leaves the data that was there. */
export class Resource<T> {
  readonly #data = signal<T | null>(null);
  readonly #error = signal<HubError | null>(null);
  readonly data: ReadonlySignal<T | null> = this.#data;
  readonly error: ReadonlySignal<HubError | null> = this.#error;
  /** Nothing to show yet, and no error either. */
  readonly isFirstLoad = computed(() => this.#data.value === null && this.#error.value === null);
  #running: Promise<void> | null = null;
  #again = false;

  constructor(private readonly fetchIt: () => Promise<T>) {}

  /** Fetches anew. Calls during a fetch share one more fetch after it, so that the last hint is never missed. */
  refresh(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#fetch().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** Puts in what is known already, e.g. from the answer to a change. */
  set(data: T): void {
    this.#data.value = data;
    this.#error.value = null;
  }

  update(change: (data: T) => T): void {
    const data = this.#data.peek();
    if (data !== null) this.set(change(data));
  }

  async #fetch(): Promise<void> {
    do {
      this.#again = false;
      try {
        this.set(await this.fetchIt());
      } catch (error) {
        if (!(error instanceof HubError)) throw error;
        this.#error.value = error;
      }
    } while (this.#again);
  }
}
