import { useSignal } from "@preact/signals";
import { useApp } from "../app-context.ts";
import { ApiProblem, wordsOf } from "../data/api.ts";
import type { Agent } from "../data/model.ts";
import { CopyButton } from "./copy.tsx";
import { ForRole } from "./for-role.tsx";
import { FormEnd, NameField } from "./form.tsx";

type AgentWithInstall = Agent & { install: string };

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
  const { api } = useApp();
  const name = useSignal("");
  const made = useSignal<AgentWithInstall | null>(null);
  const problem = useSignal<string | null>(null);
  const isBusy = useSignal(false);

  async function add(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (isBusy.value) return;
    isBusy.value = true;
    problem.value = null;
    try {
      const hostname = name.value.trim();
      made.value = await api.send<AgentWithInstall>("POST", "/v1/agents", hostname ? { hostname } : {});
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      problem.value = wordsOf(error);
    } finally {
      isBusy.value = false;
    }
  }

  if (made.value !== null) return <InstallCommand command={made.value.install} host={made.value.hostname} />;
  return (
    <form class="form" onSubmit={(event) => void add(event)}>
      <NameField
        words={`The host's name${isFirst ? "" : ", for the list; the agent tells its own later"}`}
        value={name}
        maxLength={255}
        placeholder="web-1"
      />
      <FormEnd problem={problem} isBusy={isBusy} words="Make a token" busyWords="Making a token…" />
    </form>
  );
}

/** One line to paste; the token in it is shown this once. */
export function InstallCommand({ command, host }: { command: string; host: string | null }) {
  return (
    <div class="install">
      <p>Run this on {host ?? "the host"}. The token is shown this once.</p>
      <div class="command-box">
        <pre class="command-line">{command}</pre>
        <CopyButton text={command} label="Copy command" />
      </div>
      <p class="muted">
        It downloads OpsPilot from this server, checks it, and makes the agent a service. To look first, without
        installing anything, add <code>--dry-run</code>. What may be restarted from here is opted in there, with{" "}
        <code>--allow restart_service:nginx</code>.
      </p>
      <p role="status">Waiting for it to connect…</p>
    </div>
  );
}
