import { useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** Rows beyond the edge of the window, so that scrolling shows no gaps. */
const SPARE_ROWS = 6;

interface WindowListOptions<T> {
  rows: readonly T[];
  label: string;
  /** Of one row, in rem: rows are alike in height, whatever their text. */
  rowRem: number;
  keyOf: (row: T) => string | number;
  render: (row: T, at: number) => ComponentChildren;
  /** The reader is near the end. */
  onEnd?: () => void;
  /** These are in the document. */
  onShown?: (rows: readonly T[]) => void;
}

/** A list of which only the rows in sight are in the document; it scrolls with whatever it stands in. */
export function WindowList<T>({ rows, label, rowRem, keyOf, render, onEnd, onShown }: WindowListOptions<T>) {
  const box = useRef<HTMLDivElement>(null);
  const range = useSignal({ first: 0, last: 24 });
  const rowPx = rowRem * rootFontPx();

  useEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      const top = box.current?.getBoundingClientRect().top ?? 0;
      const first = Math.max(0, Math.floor(-top / rowPx) - SPARE_ROWS);
      const last = Math.ceil((innerHeight - top) / rowPx) + SPARE_ROWS;
      if (first !== range.peek().first || last !== range.peek().last) range.value = { first, last };
    };
    const lookSoon = () => {
      frame ||= requestAnimationFrame(look);
    };
    look();
    document.addEventListener("scroll", lookSoon, { capture: true, passive: true });
    addEventListener("resize", lookSoon);
    return () => {
      cancelAnimationFrame(frame);
      document.removeEventListener("scroll", lookSoon, { capture: true });
      removeEventListener("resize", lookSoon);
    };
  }, [rowPx]);

  const { first, last } = range.value;
  const isNearEnd = last >= rows.length;
  useEffect(() => {
    if (isNearEnd) onEnd?.();
  }, [isNearEnd, rows.length]);

  useEffect(() => onShown?.(rows.slice(first, last)), [first, last, rows]);

  return (
    <div ref={box} class="window" style={{ height: `${rows.length * rowPx}px` }}>
      <ul aria-label={label} style={{ transform: `translateY(${Math.min(first, rows.length) * rowPx}px)` }}>
        {rows.slice(first, last).map((row, at) => (
          <li
            key={keyOf(row)}
            aria-setsize={rows.length}
            aria-posinset={first + at + 1}
            style={{ height: `${rowPx}px` }}
          >
            {render(row, first + at)}
          </li>
        ))}
      </ul>
    </div>
  );
}

function rootFontPx(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;
}

/** Whether this list's place was scrolled away from its top. */
export function useIsScrolled(): { value: boolean } {
  const isScrolled = useSignal(false);
  useEffect(() => {
    const look = () => {
      const pane = document.querySelector(".pane-list");
      isScrolled.value = scrollY > SCROLLED_PX || (pane?.scrollTop ?? 0) > SCROLLED_PX;
    };
    look();
    document.addEventListener("scroll", look, { capture: true, passive: true });
    return () => document.removeEventListener("scroll", look, { capture: true });
  }, []);
  return useComputed(() => isScrolled.value);
}

/** Less is no reading further down. */
const SCROLLED_PX = 24;
