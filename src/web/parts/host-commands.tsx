import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import {
  allows,
  COMMAND_FIELDS,
  COMMAND_NAMES,
  type CommandName,
  isTargetName,
  LOG_LINES,
  READ_ONLY_COMMANDS,
} from "../../protocol/commands.ts";
import { useApp } from "../app-context.ts";
import { ApiProblem, wordsOf } from "../data/api.ts";
import type { Agent, Command } from "../data/model.ts";
import { personOf } from "../lib/event-words.ts";
import { programOf } from "../lib/programs.ts";
import { nameText, visibleText } from "../lib/text.ts";
import { secondsWords } from "../lib/time.ts";
import { ForRole } from "./for-role.tsx";
import { Sheet } from "./sheet.tsx";
import { FailedState, OffReason } from "./states.tsx";
import { useRemote } from "./use-remote.ts";
import { Age } from "./words.tsx";

const SHOWN = 10;

/** What may be asked of a host, and what was. Only what it allows can be chosen; what changes it asks first. */
export function HostCommands({ agent }: { agent: Agent }) {
  const { api, notices, store } = useApp();
  const path = `/v1/agents/${agent.id}/commands?limit=${SHOWN}`;
  const remote = useRemote<Command[]>(path);
  const command = useSignal<CommandName>("host_report");
  const target = useSignal("");
  const asking = useSignal(false);
  const isBusy = useSignal(false);
  useEffect(
    () =>
      store.listen((news) => {
        if (news.kind === "command" && news.data.agent_id === agent.id) remote.reload();
      }),
    [remote],
  );

  const possible = COMMAND_NAMES.filter((name) => isAllowedSomewhere(agent.meta?.allow, name));
  const fields: readonly string[] = COMMAND_FIELDS[command.value];
  const field = fields.find((name) => name === "service" || name === "container");
  const name = target.value.trim();
  const why = whyNot(agent, command.value, field, name);

  async function run(): Promise<void> {
    asking.value = false;
    if (isBusy.value) return;
    isBusy.value = true;
    const params = { ...(field ? { [field]: name } : {}), ...(fields.includes("lines") ? { lines: LOG_LINES } : {}) };
    try {
      await api.send("POST", "/v1/admin/exec", { agent_id: agent.id, command: command.value, params, wait_s: 0 });
      remote.reload();
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      notices.warn(wordsOf(error));
    } finally {
      isBusy.value = false;
    }
  }

  function submit(event: SubmitEvent): void {
    event.preventDefault();
    if (why !== undefined) notices.warn(why);
    else if (READ_ONLY_COMMANDS.includes(command.value)) void run();
    else asking.value = true;
  }

  const { value: commands, problem } = remote.state.value;
  return (
    <section class="section" aria-labelledby="commands-title">
      <h2 id="commands-title">Commands</h2>
      <ForRole needs="operator">
        <form class="command-form" onSubmit={submit}>
          <label class="select">
            <span class="off-screen">Command</span>
            <select
              value={command.value}
              onChange={(event) => {
                command.value = event.currentTarget.value as CommandName;
              }}
            >
              {possible.map((one) => (
                <option key={one} value={one}>
                  {one.replaceAll("_", " ")}
                </option>
              ))}
            </select>
          </label>
          {field !== undefined && (
            <label class="field is-inline">
              <span class="off-screen">{field === "service" ? "Unit" : "Container"}</span>
              <input
                type="text"
                value={target.value}
                placeholder={field === "service" ? "unit, such as nginx" : "container"}
                autocomplete="off"
                autocapitalize="off"
                spellcheck={false}
                onInput={(event) => {
                  target.value = event.currentTarget.value;
                }}
              />
            </label>
          )}
          <button type="submit" class="button" disabled={isBusy.value || !store.isLive.value}>
            {isBusy.value ? "Sending…" : "Run"}
          </button>
        </form>
      </ForRole>
      <OffReason />
      {name !== "" && why !== undefined && <p class="muted">{why}</p>}
      {problem !== null && commands === null && (
        <FailedState problem={problem} what="its commands" onRetry={remote.reload} />
      )}
      {commands?.length === 0 && <p class="muted">Nothing was asked of it yet.</p>}
      <ul class="plain-list">
        {commands?.map((one) => (
          <li key={one.id}>
            <CommandLine command={one} />
          </li>
        ))}
      </ul>
      {asking.value && (
        <Sheet
          title={`${command.value.replaceAll("_", " ")} ${name} on ${nameText(agent.hostname ?? "this host")}?`}
          onClose={() => {
            asking.value = false;
          }}
        >
          <p>Runs on {nameText(agent.hostname ?? "this host")}, by its agent:</p>
          <pre class="command-line">{programOf(command.value, name)}</pre>
          <OffReason />
          <div class="sheet-actions">
            <button type="button" class="button is-danger" disabled={!store.isLive.value} onClick={() => void run()}>
              Run now
            </button>
            <button
              type="button"
              class="button"
              onClick={() => {
                asking.value = false;
              }}
            >
              Cancel
            </button>
          </div>
        </Sheet>
      )}
    </section>
  );
}

function CommandLine({ command }: { command: Command }) {
  const { command: name, params, status, exit_code, duration_ms, actor, created_at, output, error } = command;
  const target = String(params.service ?? params.container ?? "");
  const exit = exit_code === null ? "" : `, exit ${exit_code}`;
  const took = duration_ms === null ? "" : ` in ${secondsWords(duration_ms)}`;
  const text = [error, output].filter(Boolean).join("\n");
  return (
    <div class="command">
      <p>
        <b>{name.replaceAll("_", " ")}</b> {target} · <span class={`command-status is-${status}`}>{status}</span>
        {exit}
        {took}
        <span class="muted">
          {" "}
          · {personOf(actor)}, <Age at={created_at} /> ago
        </span>
      </p>
      {text !== "" && (
        <details class="rest">
          <summary>What it answered</summary>
          <pre class="log">{visibleText(text)}</pre>
        </details>
      )}
    </div>
  );
}

/** Whether the agent allows this on anything. */
function isAllowedSomewhere(allow: unknown, name: CommandName): boolean {
  if (!Array.isArray(allow)) return true;
  return allow.some((entry) => typeof entry === "string" && entry.split(":")[0] === name) || allows(allow, name, "");
}

function whyNot(agent: Agent, command: CommandName, field: string | undefined, name: string): string | undefined {
  if (agent.status === "offline") return "The host is not connected.";
  if (field !== undefined && name === "") return `Say which ${field === "service" ? "unit" : "container"}.`;
  if (field !== undefined && !isTargetName(name)) return "That is no name of a unit or a container.";
  if (!allows(agent.meta?.allow, command, name))
    return `${agent.hostname ?? "The host"} does not allow ${command}:${name}.`;
  return undefined;
}
