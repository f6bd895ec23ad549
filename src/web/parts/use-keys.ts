import { useEffect, useRef } from "preact/hooks";

/** What keys do, by their name as the browser tells it. */
export type Keys = Partial<Record<string, (event: KeyboardEvent) => void>>;

/** Keys of a view. None acts in a field, in a dialog, or with another key held down. */
export function useKeys(keys: Keys): void {
  const known = useRef(keys);
  known.current = keys;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      known.current[event.key]?.(event);
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof Element)) return false;
  if (document.querySelector("dialog[open]") !== null) return true;
  const field = target.closest("input, textarea, select, [contenteditable]");
  return field !== null && !(field instanceof HTMLInputElement && field.type === "checkbox");
}
