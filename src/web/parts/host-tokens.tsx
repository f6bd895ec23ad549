import { useSignal } from "@preact/signals";
import { useApp } from "../app-context.ts";
import { ApiProblem, wordsOf } from "../data/api.ts";
import type { Agent } from "../data/model.ts";
import { InstallCommands } from "./add-host.tsx";
import { Sheet } from "./sheet.tsx";
import { OffReason } from "./states.tsx";

type Question = "rotate" | "remove";

const QUESTIONS = {
  rotate: {
    title: "Make a new token?",
    what: "The old token ends at once: the agent is cut off until it is installed with the new one.",
    button: "Make a new token",
  },
  remove: {
    title: "Remove this host?",
    what: "Its token ends at once and for good. Its incidents and what was done stay.",
    button: "Remove",
  },
} as const;

/** A host's token is made anew, or ends with the host; both ask first. */
export function HostTokens({ agent, onRemoved }: { agent: Agent; onRemoved: () => void }) {
  const { api, notices, store } = useApp();
  const question = useSignal<Question | null>(null);
  const token = useSignal<string | null>(null);
  const isBusy = useSignal(false);
  const close = () => {
    question.value = null;
  };

  async function act(what: Question): Promise<void> {
    if (isBusy.value) return;
    isBusy.value = true;
    try {
      if (what === "rotate") {
        token.value = (await api.send<{ token: string }>("POST", `/v1/agents/${agent.id}/rotate-token`)).token;
      } else {
        await api.send("DELETE", `/v1/agents/${agent.id}`);
        onRemoved();
      }
      close();
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      notices.warn(wordsOf(error));
    } finally {
      isBusy.value = false;
    }
  }

  const asked = question.value;
  return (
    <section class="section" aria-labelledby="token-title">
      <h2 id="token-title">Token</h2>
      {token.value !== null && <InstallCommands token={token.value} host={agent.hostname} />}
      <OffReason />
      <p class="button-line">
        {(["rotate", "remove"] as const).map((what) => (
          <button
            key={what}
            type="button"
            class="button"
            disabled={!store.isLive.value}
            onClick={() => {
              question.value = what;
            }}
          >
            {what === "rotate" ? "Rotate…" : "Remove the host…"}
          </button>
        ))}
      </p>
      {asked !== null && (
        <Sheet title={QUESTIONS[asked].title} onClose={close}>
          <p>
            <b>{agent.hostname ?? agent.id}</b>: {QUESTIONS[asked].what}
          </p>
          <OffReason />
          <div class="sheet-actions">
            <button
              type="button"
              class="button is-danger"
              disabled={isBusy.value || !store.isLive.value}
              onClick={() => void act(asked)}
            >
              {QUESTIONS[asked].button}
            </button>
            <button type="button" class="button" onClick={close}>
              Cancel
            </button>
          </div>
        </Sheet>
      )}
    </section>
  );
}
