import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { useApp } from "../app-context.ts";
import { ApiProblem } from "../data/api.ts";

/** `value` stays while it is loaded anew or fails. */
export interface RemoteState<T> {
  readonly value: T | null;
  readonly problem: ApiProblem | null;
}

/** Something of the server's. */
export interface Remote<T> {
  readonly state: ReadonlySignal<RemoteState<T>>;
  readonly reload: () => void;
  /** Changes it here, where the stream has said how. */
  readonly change: (update: (value: T) => T) => void;
}

/** Loads what is at a path of the API, once for as long as the view shows it; null loads nothing. */
export function useRemote<T>(path: string | null): Remote<T> {
  const { api, store } = useApp();
  const remote = useMemo(() => {
    const state = signal<RemoteState<T>>({ value: null, problem: null });
    const closing = new AbortController();
    const load = async (): Promise<void> => {
      if (path === null) return;
      try {
        state.value = { value: await api.get<T>(path, closing.signal), problem: null };
      } catch (error) {
        if (closing.signal.aborted) return;
        if (!(error instanceof ApiProblem)) throw error;
        state.value = { ...state.value, problem: error };
      }
    };
    return {
      state,
      closing,
      reload: () => void load(),
      change(update: (value: T) => T) {
        const { value, problem } = state.value;
        if (value !== null) state.value = { value: update(value), problem };
      },
    };
  }, [path]);
  useEffect(() => {
    remote.reload();
    const silence = store.listen(({ kind }) => {
      if (kind === "reset" || (kind === "back" && remote.state.value.problem !== null)) remote.reload();
    });
    return () => {
      silence();
      remote.closing.abort();
    };
  }, [remote]);
  return remote;
}
