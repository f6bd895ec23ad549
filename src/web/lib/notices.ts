import { type ReadonlySignal, signal } from "@preact/signals";

/** A word for the reader of the page that goes away by itself; screen readers say it. */
export interface Notice {
  readonly id: number;
  readonly text: string;
  readonly isBad: boolean;
}

/** What the page tells in passing. */
export interface Notices {
  readonly shown: ReadonlySignal<readonly Notice[]>;
  say(text: string): void;
  warn(text: string): void;
  dismiss(id: number): void;
}

const SHOWN_MS = 6_000;
/** A refusal is read twice. */
const SHOWN_BAD_MS = 15_000;
const NOTICES_MAX = 3;

/** Makes the notices of a page. */
export function createNotices(): Notices {
  const shown = signal<readonly Notice[]>([]);
  let lastId = 0;

  function dismiss(id: number): void {
    shown.value = shown.value.filter((one) => one.id !== id);
  }

  function add(text: string, isBad: boolean): void {
    const id = ++lastId;
    shown.value = [...shown.value.filter((one) => one.text !== text), { id, text, isBad }].slice(-NOTICES_MAX);
    setTimeout(() => dismiss(id), isBad ? SHOWN_BAD_MS : SHOWN_MS);
  }

  return { shown, say: (text) => add(text, false), warn: (text) => add(text, true), dismiss };
}
