import { useSignal } from "@preact/signals";
import { useApp } from "../app-context.ts";
import { ApiProblem, wordsOf } from "../data/api.ts";
import type { Agent } from "../data/model.ts";
import { CopyButton } from "./copy.tsx";
import { ForRole } from "./for-role.tsx";
import { OffReason } from "./states.tsx";

interface AddHostOptions {
  /** There is none yet: say more. */
  isFirst?: boolean;
}

/** Makes a token for a host, shows it this once, and says what to run there. */
export function AddHost(options: AddHostOptions) {
  return (
    <ForRole needs="admin">
      <AddHostForm {...options} />
    </ForRole>
  );
}

function AddHostForm({ isFirst = false }: AddHostOptions) {
  const { api, store } = useApp();
  const name = useSignal("");
  const made = useSignal<{ agent: Agent; token: string } | null>(null);
  const problem = useSignal<string | null>(null);
  const isBusy = useSignal(false);

  async function add(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (isBusy.value) return;
    isBusy.value = true;
    problem.value = null;
    try {
      const hostname = name.value.trim();
      const { token, ...agent } = await api.send<Agent & { token: string }>(
        "POST",
        "/v1/agents",
        hostname ? { hostname } : {},
      );
      made.value = { agent, token };
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      problem.value = wordsOf(error);
    } finally {
      isBusy.value = false;
    }
  }

  if (made.value !== null) return <InstallCommands token={made.value.token} host={made.value.agent.hostname} />;
  return (
    <form class="form" onSubmit={(event) => void add(event)}>
      <label class="field">
        <span>The host's name{isFirst ? "" : ", for the list; the agent tells its own later"}</span>
        <input
          type="text"
          value={name.value}
          maxLength={255}
          placeholder="web-1"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          onInput={(event) => {
            name.value = event.currentTarget.value;
          }}
        />
      </label>
      {problem.value !== null && (
        <p class="field-problem" role="alert">
          {problem.value}
        </p>
      )}
      <OffReason />
      <button type="submit" class="button is-primary" disabled={isBusy.value || !store.isLive.value}>
        {isBusy.value ? "Making a token…" : "Make a token"}
      </button>
    </form>
  );
}

/** One line to paste; the token is shown this once. */
export function InstallCommands({ token, host }: { token: string; host: string | null }) {
  const server = location.origin.replace(/^http/, "ws");
  const install = `sudo ./opspilot agent install --server ${server} --token ${token}`;
  return (
    <div class="install">
      <p>Copy the executable to {host ?? "the host"}, then run this there. The token is shown this once.</p>
      <div class="command-box">
        <pre class="command-line">{install}</pre>
        <CopyButton text={install} label="Copy command" />
      </div>
      <p class="muted">
        To look first, without installing anything: <code>./opspilot agent check --server {server} --token …</code>.
        What may be restarted from here is opted in there, with <code>--allow restart_service:nginx</code>.
      </p>
      <p role="status">Waiting for it to connect…</p>
    </div>
  );
}
