import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../app-context.ts";
import { Sheet } from "./sheet.tsx";
import { useKeys } from "./use-keys.ts";

const KEYS: readonly (readonly [string, string])[] = [
  ["j, k", "next and previous in the list"],
  ["Enter", "open it"],
  ["u", "back to the list"],
  ["/", "search"],
  ["x, Shift+X", "select one, select up to here"],
  ["r", "restart, which asks first"],
  ["l", "logs from the host"],
  ["a", "acknowledge"],
  ["i", "ignore, and more"],
  ["e", "resolve"],
  ["c", "copy what to do"],
  ["g then n, i, h, s", "go to now, incidents, hosts, silences"],
  ["?", "this"],
];
const PLACES: Partial<Record<string, string>> = { n: "/app", i: "/app/incidents", h: "/app/hosts", s: "/app/silences" };
const SEQUENCE_MS = 1_200;

/** Keys that work everywhere, and the list of all. */
export function GlobalKeys() {
  const { router } = useApp();
  const isOpen = useSignal(false);
  const sinceG = useRef(Number.NEGATIVE_INFINITY);

  useEffect(() => {
    // Before the views' own keys: the letter after g is a place, and nothing else.
    const onKey = (event: KeyboardEvent) => {
      const isSequence = performance.now() - sinceG.current < SEQUENCE_MS;
      sinceG.current = Number.NEGATIVE_INFINITY;
      const place = PLACES[event.key];
      if (!isSequence || place === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      router.go(place);
    };
    document.addEventListener("keydown", onKey, { capture: true });
    return () => document.removeEventListener("keydown", onKey, { capture: true });
  }, []);

  useKeys({
    g: () => {
      sinceG.current = performance.now();
    },
    c: () => document.querySelector<HTMLElement>(".fix .copy")?.click(),
    "?": () => {
      isOpen.value = true;
    },
  });

  if (!isOpen.value) return null;
  return (
    <Sheet
      title="Keys"
      onClose={() => {
        isOpen.value = false;
      }}
    >
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Sheet>
  );
}
