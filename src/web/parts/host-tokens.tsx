import { useSignal } from "@preact/signals";
import { useApp } from "../app-context.ts";
import { ApiProblem, wordsOf } from "../data/api.ts";
import type { Agent } from "../data/model.ts";
import { nameText } from "../lib/text.ts";
import { InstallCommand } from "./add-host.tsx";
import { ForRole } from "./for-role.tsx";
import { Sheet } from "./sheet.tsx";
import { OffReason } from "./states.tsx";

/** So long the old token is good beside the new one. */
const GRACE_S = 86_400;

type Question = "rotate" | "remove";

const QUESTIONS = {
  rotate: {
    title: "Make a new token?",
    what: "The old token stays good for a day, so that the agent is not cut off before it has the new one.",
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
  const install = useSignal<string | null>(null);
  const isBusy = useSignal(false);
  const isAtOnce = useSignal(false);
  const close = () => {
    question.value = null;
  };

  async function act(what: Question): Promise<void> {
    if (isBusy.value) return;
    isBusy.value = true;
    try {
      if (what === "rotate") {
        install.value = (
          await api.send<{ install: string }>("POST", `/v1/agents/${agent.id}/rotate-token`, {
            grace_s: isAtOnce.value ? 0 : GRACE_S,
          })
        ).install;
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
      {install.value !== null && <InstallCommand command={install.value} host={agent.hostname} />}
      <OffReason />
      <ForRole needs="admin">
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
      </ForRole>
      {asked !== null && (
        <Sheet title={QUESTIONS[asked].title} onClose={close}>
          <p>
            <b>{nameText(agent.hostname ?? agent.id)}</b>: {QUESTIONS[asked].what}
          </p>
          {asked === "rotate" && (
            <label class="check">
              <input
                type="checkbox"
                checked={isAtOnce.value}
                onChange={(event) => {
                  isAtOnce.value = event.currentTarget.checked;
                }}
              />{" "}
              End the old one at once: somebody else may know it, or use it
            </label>
          )}
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
