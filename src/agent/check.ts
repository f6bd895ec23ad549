import type { ServerAddress } from "../config/agent.ts";
import type { Clock } from "../lib/clock.ts";
import { type AllowEntry, allowText, READ_ONLY_COMMANDS } from "../protocol/commands.ts";
import { CloseCode } from "../protocol/frames.ts";
import type { DockerApi } from "./docker-api.ts";
import { DockerError } from "./docker-error.ts";
import { decodeServerFrame, heartbeatText } from "./frames.ts";
import { polkitVersion, rightsIn, type UnitRight, unitRights, verbOf } from "./install/polkit.ts";
import { UPDATE_WATCH } from "./install/update-units.ts";
import { MissingProgramError, type RunProcess } from "./run-process.ts";
import { parseProperties } from "./service-commands.ts";
import type { OpenSocket, SocketEnd } from "./socket.ts";
import { readConnectionStatus } from "./state-dir.ts";

const SERVER_LIMIT_MS = 15_000;
const HEARTBEAT_ID = "check";

interface ServerCheckDeps {
  readonly server: ServerAddress;
  readonly openSocket: OpenSocket;
  readonly clock: Clock;
  /** The agent that runs here with the same settings, if one does. */
  readonly runningPid: number | undefined;
  /** Where that one tells how its connection is. */
  readonly statusPath: string;
}

/**
 * Whether the server can be reached and accepts the token. A token has one connection at a time: where an agent runs, only the
 * way to the server is tried, and that agent is asked for the rest, lest it be thrown out.
 */
export async function checkServer(deps: ServerCheckDeps): Promise<Finding[]> {
  const outcome = await tryServer(deps, deps.runningPid === undefined);
  const where = deps.server.url;
  if (!outcome.isOpen)
    return [{ name: "server", state: "no", detail: `${where} cannot be reached: ${outcome.detail}` }];
  const exposed = deps.server.isExposed ? "; without TLS, so that anyone on the way can read the token" : "";
  const reachable: Finding = { name: "server", state: "ok", detail: `${where} can be reached${exposed}` };
  return [reachable, deps.runningPid === undefined ? tokenFinding(outcome) : runningFinding(deps)];
}

interface Attempt {
  readonly isOpen: boolean;
  readonly agentId?: string;
  readonly detail: string;
}

function tokenFinding({ agentId, detail }: Attempt): Finding {
  if (agentId !== undefined) return { name: "token", state: "ok", detail: `accepted, as agent ${agentId}` };
  return { name: "token", state: "no", detail: `not accepted: ${detail}` };
}

function runningFinding({ runningPid, statusPath }: ServerCheckDeps): Finding {
  const status = readConnectionStatus(statusPath);
  const who = `the agent that runs here (process ${runningPid})`;
  if (status === undefined)
    return { name: "token", state: "unknown", detail: `in use by ${who}, whose log tells more` };
  const since = new Date(status.atMs).toISOString();
  if (status.isConnected) return { name: "token", state: "ok", detail: `accepted: ${who} is connected since ${since}` };
  return { name: "token", state: "no", detail: `${who} is not connected since ${since}: ${status.detail}` };
}

/** Opens a socket, and shows the token by a heartbeat if that is wanted. */
function tryServer({ openSocket, clock }: ServerCheckDeps, showsToken: boolean): Promise<Attempt> {
  return new Promise((resolve) => {
    const waiting = new AbortController();
    let isOpen = false;
    const finish = (detail: string, agentId?: string) => {
      waiting.abort();
      resolve({ isOpen, detail, agentId });
    };
    const socket = openSocket({
      opened() {
        isOpen = true;
        if (showsToken) return socket.send(heartbeatText(HEARTBEAT_ID, {}, clock.now()));
        socket.close(1000, "checked");
        finish("");
      },
      received(text) {
        const frame = decodeServerFrame(text);
        if (frame?.type === "error") finish(frame.message || frame.code);
        if (frame?.type === "welcome") finish("", frame.agent_id);
        if (frame?.type === "welcome" || frame?.type === "error") socket.close(1000, "checked");
      },
      heard: () => undefined,
      ended: (end) => finish(describeEnd(end)),
    });
    void giveUp();
    async function giveUp(): Promise<void> {
      await clock.sleep(SERVER_LIMIT_MS, waiting.signal);
      if (waiting.signal.aborted) return;
      socket.terminate();
      finish(`no answer within ${SERVER_LIMIT_MS / 1000} s`);
    }
  });
}

function describeEnd({ code, reason }: SocketEnd): string {
  if (code === CloseCode.overloaded) return "the server takes no connection now";
  return reason || `the connection was closed (${code})`;
}

const LIMIT_MS = 10_000;
/** What systemctl says where another program is process 1. */
const NO_SYSTEMD = "has not been booted with systemd";

interface CommandChecksDeps {
  readonly allow: readonly AllowEntry[];
  readonly run: RunProcess;
  readonly docker: DockerApi;
  /** Root needs nobody's leave. */
  readonly isRoot: boolean;
  /** What the polkit rule of `agent install` says; undefined when this user may not read it. */
  readonly rule: string | undefined;
}

/** For each allowed command whether it can be done on this host, and what stands in the way. Runs nothing that changes anything. */
export async function checkCommands(deps: CommandChecksDeps): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const entry of deps.allow) findings.push({ name: allowText(entry), ...(await checkEntry(entry, deps)) });
  return findings;
}

type Judgement = Omit<Finding, "name">;

const ok = (detail: string): Judgement => ({ state: "ok", detail });
const no = (detail: string): Judgement => ({ state: "no", detail });

async function checkEntry(entry: AllowEntry, deps: CommandChecksDeps): Promise<Judgement> {
  try {
    return await (verbOf(entry) === undefined ? checkLook(entry, deps) : checkChange(entry, deps));
  } catch (error) {
    if (error instanceof MissingProgramError || (error instanceof DockerError && error.reason === "absent")) {
      return absent(entry, error.message);
    }
    if (error instanceof DockerError) return no(error.message);
    throw error;
  }
}

/** A host without Docker, or without systemd, lacks nothing, unless somebody counts on it. */
function absent({ command, pattern }: AllowEntry, detail: string): Judgement {
  const isDefault = READ_ONLY_COMMANDS.includes(command) && pattern === "*";
  return { state: isDefault ? "absent" : "no", detail };
}

async function checkLook(entry: AllowEntry, { run, docker }: CommandChecksDeps): Promise<Judgement> {
  switch (entry.command) {
    case "service_status":
    case "list_units":
      return checkSystemd(entry, run);
    case "get_logs":
      return checkJournal(entry, run);
    case "update_agent":
      return checkUpdates(run);
    case "restart_container":
    case "container_logs":
    case "container_inspect":
      return checkEngine(docker);
    default:
      return ok("needs nothing");
  }
}

async function checkUpdates(run: RunProcess): Promise<Judgement> {
  const { exitCode } = await run(["systemctl", "is-active", "--quiet", "--", UPDATE_WATCH], { limitMs: LIMIT_MS });
  if (exitCode === 0) return ok(`${UPDATE_WATCH} waits for it`);
  return no(`${UPDATE_WATCH} does not run: \`opspilot agent install\` sets it up`);
}

async function checkEngine(docker: DockerApi): Promise<Judgement> {
  const { name, api } = await docker.engine();
  return ok(`${name} answers (API ${api})`);
}

async function checkSystemd(entry: AllowEntry, run: RunProcess): Promise<Judgement> {
  const { exitCode, stdout, stderr } = await run(["systemctl", "show", "--property=Version"], { limitMs: LIMIT_MS });
  const { Version: version } = parseProperties(stdout);
  if (exitCode === 0 && version) return ok(`systemd ${version} answers`);
  const said = firstLine(stderr) || "systemd does not answer";
  return said.includes(NO_SYSTEMD) ? absent(entry, said) : no(said);
}

/** Messages of process 1 are the system's: who sees one may see all. */
async function checkJournal(entry: AllowEntry, run: RunProcess): Promise<Judgement> {
  const words = ["journalctl", "--no-pager", "--lines=1", "--output=cat", "_PID=1"];
  const { exitCode, stdout, stderr } = await run(words, { limitMs: LIMIT_MS });
  if (/insufficient permissions|not seeing messages/i.test(stderr)) {
    return no(
      "this user may not read the journal: add it to the group systemd-journal, as `opspilot agent install` does",
    );
  }
  if (exitCode !== 0) return no(firstLine(stderr) || "the journal cannot be read");
  const isEmpty = stdout.trim() === "" || stdout.includes("-- No entries --");
  return isEmpty ? absent(entry, "the journal has no entry of the system") : ok("the journal can be read");
}

async function checkChange(entry: AllowEntry, deps: CommandChecksDeps): Promise<Judgement> {
  const { rights } = await unitRights([entry], deps.run);
  if (rights.length === 0) return no("no service of this host has such a name");
  const missing = await missingUnit(rights, deps.run);
  if (missing !== undefined) return no(missing);
  if (deps.isRoot) return ok("root needs no leave");
  const version = await polkitVersion(deps.run);
  if (version === undefined) return no("polkit is not on this host, so that only root may do this");
  if (deps.rule === undefined)
    return { state: "unknown", detail: "whether polkit lets it can be told by root alone: sudo opspilot agent check" };
  return judgeRights(rights, deps.rule);
}

function judgeRights(rights: readonly UnitRight[], rule: string): Judgement {
  const given = new Set(rightsIn(rule).map(rightText));
  const lacking = rights.map(rightText).filter((right) => !given.has(right));
  if (lacking.length === 0) return ok(`polkit lets it ${rights.map(rightText).join(", ")}`);
  return no(`the polkit rule lacks ${lacking.join(", ")}: run \`opspilot agent install\` again`);
}

function rightText({ verb, unit }: UnitRight): string {
  return `${verb} ${unit}`;
}

async function missingUnit(rights: readonly UnitRight[], run: RunProcess): Promise<string | undefined> {
  const units = [...new Set(rights.map(({ unit }) => unit))];
  const words = ["systemctl", "show", "--no-pager", "--property=Id,LoadState", "--", ...units];
  const { exitCode, stdout, stderr } = await run(words, { limitMs: LIMIT_MS });
  if (exitCode !== 0) return firstLine(stderr) || "systemd does not answer";
  const absent = stdout
    .split("\n\n")
    .map(parseProperties)
    .filter(({ LoadState }) => LoadState === "not-found");
  return absent.length === 0 ? undefined : `there is no unit ${absent.map(({ Id }) => Id).join(", ")} on this host`;
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0] ?? "";
}

/** One thing that was looked at. */
export interface Finding {
  readonly name: string;
  /** `unknown`: this user cannot tell; `absent`: what it is about is not on this host. Both are no fault. */
  readonly state: "ok" | "no" | "unknown" | "absent";
  /** In words: what is so, or why it is not and what to do about it. */
  readonly detail: string;
}

const MARKS = { ok: "ok", no: "NO", unknown: "?", absent: "--" } as const;

/** Findings as lines under their title, for a person. */
export function findingsText(title: string, findings: readonly Finding[]): string {
  const width = Math.max(0, ...findings.map(({ name }) => name.length));
  const lines = findings.map(({ name, state, detail }) => {
    const indent = " ".repeat(width + 8);
    return `  ${MARKS[state].padEnd(2)}  ${name.padEnd(width)}  ${detail.replaceAll("\n", `\n${indent}`)}`;
  });
  return [title, ...(lines.length > 0 ? lines : ["  none"])].join("\n");
}
