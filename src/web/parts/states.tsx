import type { ComponentChildren } from "preact";
import { useApp } from "../app-context.ts";
import type { ApiProblem } from "../data/api.ts";
import { wordsOf } from "../data/api.ts";

interface StateOptions {
  what: string;
  /** Of the whole view, where this stands in its place. */
  heading?: string;
}

/** Something is asked for the first time. Shows nothing that looks like data. */
export function LoadingState({ what, heading }: StateOptions) {
  return (
    <div class="state is-loading" role="status">
      <ViewHeading text={heading} />
      <span class="bones" aria-hidden="true">
        <span />
        <span />
        <span />
      </span>
      <span class="off-screen">Loading {what}…</span>
    </div>
  );
}

/** Why buttons are off, beside them. */
export function OffReason() {
  const { store } = useApp();
  return store.isLive.value ? null : <p class="warning-line">Not connected: nothing can be sent now.</p>;
}

/** It did not work; what was there before stays. */
export function FailedState({
  problem,
  what,
  heading,
  onRetry,
}: StateOptions & { problem: ApiProblem; onRetry: () => void }) {
  const isRefused = problem.status === 403;
  return (
    <div class="state is-failed" role="alert">
      <ViewHeading text={heading} />
      <p class="state-title">{isRefused ? "The server refuses this page" : `Could not load ${what}`}</p>
      <p>{wordsOf(problem)}</p>
      <p>
        <button type="button" class="button" onClick={onRetry}>
          Retry
        </button>
      </p>
    </div>
  );
}

function ViewHeading({ text }: { text: string | undefined }) {
  return text === undefined ? null : (
    <h1 class="off-screen" tabIndex={-1}>
      {text}
    </h1>
  );
}

/** There is nothing, and that is no failure. */
export function EmptyState({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="state is-empty">
      <p class="state-title">{title}</p>
      {children}
    </div>
  );
}

/** No such place, or no such thing. */
export function MissingState({ what, children }: { what: string; children?: ComponentChildren }) {
  return (
    <div class="state is-missing">
      <h1 tabIndex={-1}>{what}</h1>
      {children}
      <p>
        <a class="button" href="/app">
          To what is going on now
        </a>
      </p>
    </div>
  );
}
