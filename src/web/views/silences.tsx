import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useApp } from "../app-context.ts";
import { ApiProblem, wordsOf } from "../data/api.ts";
import type { Silence } from "../data/model.ts";
import { personOf } from "../lib/event-words.ts";
import { clockWords } from "../lib/time.ts";
import { ForRole } from "../parts/for-role.tsx";
import { Icon } from "../parts/icons.tsx";
import { Sheet } from "../parts/sheet.tsx";
import { HeldBack } from "../parts/silence-fit.tsx";
import { SilenceForm } from "../parts/silence-form.tsx";
import { EmptyState, FailedState, LoadingState, OffReason } from "../parts/states.tsx";
import { useRemote } from "../parts/use-remote.ts";
import { Age } from "../parts/words.tsx";

/** What is not told now: what, by whom, why, until when, and what it holds back. */
export function SilencesView() {
  const { router, store } = useApp();
  const { query } = router.place.value;
  const hasEnded = query.get("ended") === "true";
  const remote = useRemote<Silence[]>(`/v1/silences?limit=200${hasEnded ? "&ended=true" : ""}`);
  const isMaking = query.has("new");
  const { value: silences, problem } = remote.state.value;

  useEffect(
    () =>
      store.listen(({ kind, data }) => {
        if (kind === "timeline" && data.kind.startsWith("silence.")) remote.reload();
      }),
    [remote],
  );

  return (
    <section class="silences">
      <div class="view-head">
        <h1 class="view-title" tabIndex={-1}>
          Silences
        </h1>
        <a class="button is-primary" href="/app/silences?new">
          <Icon name="add" />
          New silence
        </a>
      </div>
      <p class="chips">
        <button
          type="button"
          class="chip"
          aria-pressed={hasEnded}
          onClick={() => router.setQuery({ ended: hasEnded ? "" : "true" })}
        >
          with those that are over
        </button>
      </p>
      {problem !== null && <FailedState problem={problem} what="the silences" onRetry={remote.reload} />}
      {silences === null && problem === null && <LoadingState what="silences" />}
      {silences?.length === 0 && (
        <EmptyState title={hasEnded ? "There never was a silence" : "Nothing is silenced"}>
          <p class="muted">A silence mutes messages; incidents are recorded and explained all the same.</p>
        </EmptyState>
      )}
      {silences?.some(({ ended_at }) => ended_at === null) && <OffReason />}
      <ul class="cards">
        {silences?.map((silence) => (
          <li key={silence.id}>
            <SilenceCard silence={silence} onEnded={remote.reload} />
          </li>
        ))}
      </ul>
      {isMaking && (
        <Sheet title="New silence" onClose={() => router.go("/app/silences", { replace: true })}>
          <SilenceForm
            initial={{
              agent: query.get("agent") ?? "",
              type: query.get("type") ?? "",
              source: query.get("source") ?? "",
            }}
            onMade={() => {
              remote.reload();
              router.go("/app/silences", { replace: true });
            }}
          />
        </Sheet>
      )}
    </section>
  );
}

interface SilenceCardOptions {
  silence: Silence;
  onEnded: () => void;
}

function SilenceCard({ silence, onEnded }: SilenceCardOptions) {
  const { api, notices, store } = useApp();
  const isBusy = useSignal(false);
  const isOver = silence.ended_at !== null;

  async function end(): Promise<void> {
    if (isBusy.value) return;
    isBusy.value = true;
    try {
      await api.send("DELETE", `/v1/silences/${silence.id}`);
      notices.say("The silence ended.");
      onEnded();
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      notices.warn(wordsOf(error));
    } finally {
      isBusy.value = false;
    }
  }

  return (
    <article class={isOver ? "card is-over" : "card"}>
      <h2>{subjectOf(silence)}</h2>
      <p>
        {endWords(silence, store.now.peek())} · by {personOf(silence.actor)}, <Age at={silence.created_at} /> ago
      </p>
      {silence.comment !== null && <p>“{silence.comment}”</p>}
      {!isOver && <HeldBack silence={silence} />}
      {!isOver && (
        <ForRole needs="operator">
          <button
            type="button"
            class="button"
            disabled={isBusy.value || !store.isLive.value}
            onClick={() => void end()}
          >
            {isBusy.value ? "Ending…" : "End it"}
          </button>
        </ForRole>
      )}
    </article>
  );
}

function subjectOf({ agent, type, source, incident_id, fingerprint }: Silence): string {
  if (fingerprint !== null) return `The problem of incident #${incident_id ?? "?"}`;
  const parts = Object.entries({ host: agent, type, source }).filter(
    ([, pattern]) => pattern !== null && !/^\*+$/.test(pattern),
  );
  return parts.length === 0 ? "Everything" : parts.map(([name, pattern]) => `${name} ${pattern}`).join(", ");
}

function endWords({ ends, until, ended_at }: Silence, nowMs: number): string {
  if (ended_at !== null) return `over since ${clockWords(ended_at, nowMs)}`;
  if (until !== null) return `until ${clockWords(until, nowMs)}`;
  if (ends === "until_resolved") return "until it is resolved";
  return ends === "until_worse" ? "until it gets worse" : "until somebody ends it";
}
