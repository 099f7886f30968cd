import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { requestJson } from "../../api/client";
import { HubError } from "../../api/errors";
import { navigate, query } from "../../router";
import { onHubBack } from "../../store/connection";
import { PAGE_SIZE, stateFromQuery, stateToQuery, type TableState } from "../../ui/tableState";

/** The part of a list that one page of a table shows. */
export interface Listed<T> {
  items: readonly T[];
  total: number;
}

export interface List<T> {
  /** Null until the first answer. What was there stays while the next is on its way. */
  rows: readonly T[] | null;
  total: number;
  error: HubError | null;
  refresh: () => Promise<void>;
  update: (change: (rows: readonly T[]) => readonly T[]) => void;
}

/** A table's state, kept in the page's address, so that it can be shared and the browser's buttons work. */
export function useTableState(filterIds: readonly string[]): [TableState, (state: TableState) => void] {
  const state = stateFromQuery(query.value, filterIds);
  const change = useCallback((next: TableState) => {
    const text = stateToQuery(next);
    navigate(text ? `${location.pathname}?${text}` : location.pathname, { replace: true });
  }, []);
  return [state, change];
}

/** One page of a list of the admin API, asked anew when the state changes, every `everyMs` and when the hub is back. */
export function useList<T>(path: string, state: TableState, options: { everyMs?: number; fixed?: Record<string, string> } = {}): List<T> {
  const { everyMs, fixed } = options;
  const [found, setFound] = useState<Listed<T> | null>(null);
  const [error, setError] = useState<HubError | null>(null);
  const asked = useRef(0);
  const running = useRef<AbortController | null>(null);
  const key = JSON.stringify([path, state, fixed]);

  const refresh = useCallback(async () => {
    const number = ++asked.current;
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    try {
      const answer = await requestJson<Listed<T>>(path, {
        query: { ...state.filters, ...fixed, search: state.search || undefined, sort: state.sort || undefined, offset: state.page * PAGE_SIZE, limit: PAGE_SIZE },
        signal: controller.signal,
      });
      if (number !== asked.current) return;
      setFound(answer);
      setError(null);
    } catch (refusal) {
      if (refusal instanceof HubError && number === asked.current) setError(refusal);
      else if (!(refusal instanceof HubError) && !(refusal instanceof DOMException)) throw refusal;
    }
  }, [key]);

  useRefreshed(refresh, everyMs);
  useEffect(() => () => running.current?.abort(), []);
  const update = useCallback((change: (rows: readonly T[]) => readonly T[]) => setFound((now) => (now ? { ...now, items: change(now.items) } : now)), []);
  return { rows: found?.items ?? null, total: found?.total ?? 0, error, refresh, update };
}

export interface Fetched<T> {
  data: T | null;
  error: HubError | null;
  refresh: () => Promise<void>;
  set: (data: T) => void;
}

/** One thing of the hub API, asked anew as a list is. */
export function useFetched<T>(path: string, everyMs?: number): Fetched<T> {
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState<HubError | null>(null);
  const asked = useRef(0);
  const refresh = useCallback(async () => {
    const number = ++asked.current;
    try {
      const answer = await requestJson<T>(path);
      if (number !== asked.current) return;
      setData(answer);
      setError(null);
    } catch (refusal) {
      if (!(refusal instanceof HubError)) throw refusal;
      if (number === asked.current) setError(refusal);
    }
  }, [path]);
  useRefreshed(refresh, everyMs);
  const set = useCallback((changed: T) => {
    asked.current++; // an answer that is under way is older than this
    setData(changed);
    setError(null);
  }, []);
  return { data, error, refresh, set };
}

/** Calls `refresh` now, when it changes, when the page is looked at again, when the hub is back, and every `everyMs` while it is looked at. */
function useRefreshed(refresh: () => Promise<void>, everyMs?: number): void {
  useEffect(() => {
    void refresh();
    const refreshIfVisible = () => {
      if (document.visibilityState === "visible") void refresh();
    };
    const stopWaiting = onHubBack(refreshIfVisible);
    const timer = everyMs === undefined ? undefined : setInterval(refreshIfVisible, everyMs);
    document.addEventListener("visibilitychange", refreshIfVisible);
    return () => {
      stopWaiting();
      clearInterval(timer);
      document.removeEventListener("visibilitychange", refreshIfVisible);
    };
  }, [refresh, everyMs]);
}
