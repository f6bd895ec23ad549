import { useSignal } from "@preact/signals";
import type { IntegrationView, NewIntegrationView } from "../../http/integrations.ts";
import { useApp } from "../app-context.ts";
import { ApiProblem, wordsOf } from "../data/api.ts";
import { nameText } from "../lib/text.ts";
import { CopyButton } from "./copy.tsx";
import { ForRole } from "./for-role.tsx";
import { FormEnd, NameField } from "./form.tsx";
import { Sheet } from "./sheet.tsx";
import { FailedState, LoadingState, OffReason } from "./states.tsx";
import { useRemote } from "./use-remote.ts";
import { Clock } from "./words.tsx";

type Kind = IntegrationView["kind"];

const KIND_WORDS: Record<Kind, string> = {
  alertmanager: "Alertmanager or Grafana",
  cron: "cron or batch job",
  generic: "scripts and programs",
};
/** A job needs more words: the command line makes one. */
const KINDS = (Object.keys(KIND_WORDS) as Kind[]).filter((kind) => kind !== "cron");
/** As many as a list of the API has at most. */
const PATH = "/v1/integrations?limit=1000";

/** What alerts beside agents: when each was used last, a new one with the lines to paste, and the end of one. */
export function Integrations() {
  const { store } = useApp();
  const { state, reload } = useRemote<IntegrationView[]>(PATH);
  const made = useSignal<NewIntegrationView | null>(null);
  const ending = useSignal<IntegrationView | null>(null);
  const { value, problem } = state.value;
  return (
    <section class="section" aria-labelledby="integrations-title">
      <h2 id="integrations-title">Integrations</h2>
      <p class="muted">What else alerts: each has a token of its own, which is good for its alerts alone.</p>
      {problem !== null && <FailedState problem={problem} what="the integrations" onRetry={reload} />}
      {value === null && problem === null && <LoadingState what="the integrations" />}
      <ul class="integrations">
        {value?.map((one) => (
          <li key={one.id}>
            <b>{nameText(one.name)}</b> <span class="muted">{KIND_WORDS[one.kind]}, </span>
            {one.last_used_at === null ? "never used" : "used last "}
            {one.last_used_at !== null && <Clock at={one.last_used_at} />}{" "}
            <button
              type="button"
              class="button"
              disabled={!store.isLive.value || !store.may("admin")}
              aria-label={`Revoke ${one.name}…`}
              onClick={() => {
                ending.value = one;
              }}
            >
              Revoke…
            </button>
          </li>
        ))}
      </ul>
      {made.value !== null && <SetupLines made={made.value} />}
      <ForRole needs="admin">
        <NewIntegration
          onMade={(one) => {
            made.value = one;
            reload();
          }}
        />
      </ForRole>
      {ending.value !== null && (
        <Revocation
          integration={ending.value}
          onClose={(isOver) => {
            if (isOver && made.value?.id === ending.value?.id) made.value = null;
            ending.value = null;
            if (isOver) reload();
          }}
        />
      )}
    </section>
  );
}

function NewIntegration({ onMade }: { onMade: (made: NewIntegrationView) => void }) {
  const { api } = useApp();
  const name = useSignal("");
  const kind = useSignal<Kind>("alertmanager");
  const problem = useSignal<string | null>(null);
  const isBusy = useSignal(false);

  async function make(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (isBusy.value) return;
    isBusy.value = true;
    problem.value = null;
    try {
      const wanted = { kind: kind.value, name: name.value.trim() };
      onMade(await api.send<NewIntegrationView>("POST", "/v1/integrations", wanted));
      name.value = "";
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      problem.value = wordsOf(error);
    } finally {
      isBusy.value = false;
    }
  }

  return (
    <form class="form" onSubmit={(event) => void make(event)}>
      <label class="field">
        <span>What alerts</span>
        <select
          value={kind.value}
          onChange={(event) => {
            kind.value = KINDS.find((one) => one === event.currentTarget.value) ?? kind.value;
          }}
        >
          {KINDS.map((one) => (
            <option key={one} value={one}>
              {KIND_WORDS[one]}
            </option>
          ))}
        </select>
      </label>
      <NameField words="Its name" value={name} maxLength={64} placeholder="prod" isNeeded />
      <FormEnd problem={problem} isBusy={isBusy} words="Make an integration" busyWords="Making an integration…" />
    </form>
  );
}

function SetupLines({ made: { name, setup } }: { made: NewIntegrationView }) {
  return (
    <div class="install">
      <p role="status">Paste this where {nameText(name)} alerts. The token in it is shown this once.</p>
      <div class="command-box">
        <pre class="command-line">{setup}</pre>
        <CopyButton text={setup} label="Copy the lines" />
      </div>
    </div>
  );
}

interface RevocationOptions {
  integration: IntegrationView;
  onClose: (isOver: boolean) => void;
}

function Revocation({ integration, onClose }: RevocationOptions) {
  const { api, notices, store } = useApp();
  const isBusy = useSignal(false);

  async function revoke(): Promise<void> {
    if (isBusy.value) return;
    isBusy.value = true;
    try {
      await api.send("DELETE", `/v1/integrations/${integration.id}`);
      onClose(true);
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      notices.warn(wordsOf(error));
      isBusy.value = false;
    }
  }

  return (
    <Sheet title="Revoke this integration?" onClose={() => onClose(false)}>
      <p>
        <b>{nameText(integration.name)}</b>: its token ends at once and for good. Its incidents stay.
      </p>
      <OffReason />
      <div class="sheet-actions">
        <button
          type="button"
          class="button is-danger"
          disabled={isBusy.value || !store.isLive.value}
          onClick={() => void revoke()}
        >
          Revoke
        </button>
        <button type="button" class="button" onClick={() => onClose(false)}>
          Cancel
        </button>
      </div>
    </Sheet>
  );
}
