import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useApp } from "../../app-context.ts";
import type { AnalysisShown } from "../../data/model.ts";
import { visibleText } from "../../lib/text.ts";
import { FailedState } from "../../parts/states.tsx";
import { useRemote } from "../../parts/use-remote.ts";
import { Clock } from "../../parts/words.tsx";

type Investigation = AnalysisShown["investigations"][number];
type Step = Investigation["steps"][number];

/** What left the house: as it was sent, redacted, and what was answered. Loaded when somebody looks. */
export function ModelCalls({ id }: { id: number }) {
  const isOpen = useSignal(false);
  return (
    <section class="section">
      <details
        class="rest"
        onToggle={(event) => {
          isOpen.value = event.currentTarget.open;
        }}
      >
        <summary>What was sent to a model</summary>
        {isOpen.value && <Calls id={id} />}
      </details>
    </section>
  );
}

function Calls({ id }: { id: number }) {
  const { store } = useApp();
  const { state, reload } = useRemote<AnalysisShown>(`/v1/incidents/${id}/analysis`);
  useEffect(
    () =>
      store.listen((news) => {
        if (news.kind === "timeline" && news.data.incident_id === id) reload();
      }),
    [id, reload],
  );
  const { value, problem } = state.value;
  if (problem !== null && value === null) return <FailedState problem={problem} what="it" onRetry={reload} />;
  if (value === null) return <p class="muted">Loading…</p>;
  if (value.calls.length === 0) return <p class="muted">Nothing: no model was asked about it.</p>;
  return (
    <>
      {value.investigations.map((one) => (
        <Steps key={one.id} investigation={one} />
      ))}
      {value.calls.map(({ asked_at, model, endpoint, prompt, outcome, answer, cost_usd }) => (
        <div class="model-call" key={asked_at}>
          <p>
            <Clock at={asked_at} /> · {model} at {endpoint} · {outcome ?? "no answer yet"}
            {cost_usd === null ? "" : ` · $${cost_usd.toFixed(4)}`}
          </p>
          <pre class="log">{visibleText(prompt)}</pre>
          {answer !== null && <pre class="log">{visibleText(answer)}</pre>}
        </div>
      ))}
    </>
  );
}

function Steps({ investigation: { requested_at, state, why, steps } }: { investigation: Investigation }) {
  return (
    <div class="model-call">
      <p>
        <Clock at={requested_at} /> · a model looked for itself · {state}
        {why === null ? "" : `: ${why}`}
      </p>
      <ol class="plain-list">
        {steps.map((step) => (
          <li key={step.no}>
            <p>
              {step.no}. <b>{step.tool.replaceAll("_", " ")}</b> {argumentsOf(step)} · {step.state}
            </p>
            {step.output !== null && <pre class="log">{visibleText(step.output)}</pre>}
          </li>
        ))}
      </ol>
    </div>
  );
}

function argumentsOf({ arguments: given }: Step): string {
  const words = Object.entries(given).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return visibleText(words.join(", "));
}
