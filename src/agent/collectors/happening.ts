import { sha256Hex } from "../../lib/hash.ts";
import { KEY_CHARS_MAX } from "../model.ts";

/** The key of an alert about what has a name of its own, whatever its length. */
export function happeningKey(...name: readonly string[]): string {
  return sha256Hex(name.join("\0")).slice(0, KEY_CHARS_MAX);
}

/** Keeps what was noted last, up to a number: for what may never be asked for again. `dropped` hears of what somebody would miss. */
export function createBoundedMap<Value>(sizeMax: number, dropped?: (key: string) => void) {
  const values = new Map<string, Value>();
  return {
    get: (key: string): Value | undefined => values.get(key),
    has: (key: string): boolean => values.has(key),
    delete: (key: string): boolean => values.delete(key),
    entries: (): [string, Value][] => [...values],
    set(key: string, value: Value): void {
      values.delete(key);
      values.set(key, value);
      const [oldest] = values.keys();
      if (values.size <= sizeMax || oldest === undefined) return;
      values.delete(oldest);
      dropped?.(oldest);
    },
  };
}
