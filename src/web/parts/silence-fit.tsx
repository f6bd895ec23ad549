import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../app-context.ts";
import { wordsOf } from "../data/api.ts";
import type { Silence, SilenceFit } from "../data/model.ts";
import { counted } from "../lib/text.ts";
import { useRemote } from "./use-remote.ts";

/** Typing is asked about once it rests. */
const TYPING_REST_MS = 250;
/** Each answer looks through all open incidents: in a storm one in so many is enough. */
const COUNT_REST_MS = 5_000;

type Patterns = Pick<Silence, "agent" | "type" | "source">;

/** What a silence by these patterns would speak of now; told as one types. */
export function SilencePreview({ patterns }: { patterns: Patterns }) {
  const given = Object.entries(patterns).filter(([, pattern]) => pattern !== null) as [string, string][];
  const path = given.length === 0 ? null : `/v1/silences/fit?${new URLSearchParams(given)}`;
  const asked = useRested(path);
  const { value, problem } = useRemote<SilenceFit>(asked).state.value;
  const isOfThese = asked === path;
  return (
    <div class="preview" role="status">
      {path === null ? (
        <p class="muted">What fits now is shown here.</p>
      ) : isOfThese && problem !== null ? (
        <p class="muted">What fits now could not be counted: {wordsOf(problem)}</p>
      ) : isOfThese && value !== null ? (
        <Fitting fit={value} />
      ) : (
        <p class="muted">Counting what fits now…</p>
      )}
    </div>
  );
}

function Fitting({ fit }: { fit: SilenceFit }) {
  const { total, newest } = fit;
  return (
    <>
      <p>{total === 0 ? "Fits nothing that is open now." : `Fits ${totalWords(fit)} now:`}</p>
      <ul class="plain-list">
        {newest.map(({ id, host, source, type }) => (
          <li key={id}>
            {host} · {source} <span class="muted">({type})</span>
          </li>
        ))}
      </ul>
      {total > newest.length && (
        <p class="muted">and {(total - newest.length).toLocaleString("en")} that opened before</p>
      )}
    </>
  );
}

/** What an open silence holds back now. Asked for once it is in sight, and again when incidents change. */
export function HeldBack({ silence }: { silence: Silence }) {
  const { store } = useApp();
  const place = useRef<HTMLParagraphElement>(null);
  const isSeen = useSeen(place);
  const remote = useRemote<SilenceFit>(isSeen ? `/v1/silences/${silence.id}/fit` : null);
  useEffect(() => {
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const silenced = store.listen(({ kind }) => {
      if (kind !== "incident") return;
      waiting ??= setTimeout(() => {
        waiting = undefined;
        remote.reload();
      }, COUNT_REST_MS);
    });
    return () => {
      silenced();
      clearTimeout(waiting);
    };
  }, [remote]);
  const { value, problem } = remote.state.value;
  return (
    <p class="muted" ref={place}>
      {value !== null
        ? heldWords(value, store.isLive.value && !store.isOld.value)
        : problem !== null
          ? `What it holds back could not be counted: ${wordsOf(problem)}`
          : "Counting what it holds back…"}
      {value?.newest.map(({ id, host, source }) => (
        <a key={id} class="held" href={`/app/incidents/${id}`}>
          {host} · {source}
        </a>
      ))}
    </p>
  );
}

/** Nobody knows how it is now while there is no server. */
function heldWords(fit: SilenceFit, isNow: boolean): string {
  const [holds, when] = isNow ? ["Holds back", "now"] : ["Held back", "when last heard"];
  return fit.total === 0 ? `${holds} nothing ${when}.` : `${holds} ${totalWords(fit)} ${when}: `;
}

function totalWords({ total, is_exact: isExact }: SilenceFit): string {
  return `${isExact ? "" : "at least "}${counted(total, "open incident")}`;
}

function useRested<T>(value: T): T {
  const rested = useSignal(value);
  useEffect(() => {
    const timer = setTimeout(() => {
      rested.value = value;
    }, TYPING_REST_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return rested.value;
}

/** Whether the place has come into sight. */
function useSeen(place: { readonly current: Element | null }): boolean {
  const isSeen = useSignal(false);
  useEffect(() => {
    if (place.current === null) return;
    const seeing = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      isSeen.value = true;
      seeing.disconnect();
    });
    seeing.observe(place.current);
    return () => seeing.disconnect();
  }, []);
  return isSeen.value;
}
