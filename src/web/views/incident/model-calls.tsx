import { useSignal } from "@preact/signals";
import { visibleText } from "../../lib/text.ts";
import { FailedState } from "../../parts/states.tsx";
import { useRemote } from "../../parts/use-remote.ts";
import { Clock } from "../../parts/words.tsx";

interface ModelCall {
  asked_at: string;
  model: string;
  endpoint: string;
  prompt: string;
  outcome: string | null;
  answer: string | null;
  cost_usd: number | null;
}

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
  const { state, reload } = useRemote<{ calls: ModelCall[] }>(`/v1/incidents/${id}/analysis`);
  const { value, problem } = state.value;
  if (problem !== null && value === null) return <FailedState problem={problem} what="it" onRetry={reload} />;
  if (value === null) return <p class="muted">Loading…</p>;
  if (value.calls.length === 0) return <p class="muted">Nothing: no model was asked about it.</p>;
  return (
    <>
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
