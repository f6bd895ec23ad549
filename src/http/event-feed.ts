import type { Command } from "../commands/model.ts";
import type { Cursor } from "../db/changes.ts";
import type { Agent } from "../fleet/model.ts";
import type { AuditLine, ShortIncident } from "../incidents/model.ts";
import type { CommandView } from "./commands.ts";
import { onWire } from "./schemas.ts";

/** Of each kind so many are told one by one: whoever missed more reads the lists anew. */
export const CHANGES_MAX = 500;
/** A cursor that is older leads to too much. */
const CURSOR_AGE_MAX_S = 86_400;

/** An incident is written, at the latest, so long after the transaction that opens it began: a batch has no more. */
const OPENING_S_MAX = 10;

/** Lines that tell of silences. */
const SILENCE_KINDS = "silence.";

/** Where changes are read. */
export interface ChangeSources {
  now(): Promise<Cursor>;
  /** Undefined when there are more than `limit`, or when the cursor is of another database. */
  lines(since: Cursor, limit: number): Promise<{ cursor: Cursor; lines: AuditLine[] } | undefined>;
  openIncidents(since: Cursor, limit: number): Promise<number[]>;
  changedAgents(since: Cursor, limit: number): Promise<string[]>;
  incidents(ids: readonly number[]): Promise<ShortIncident[]>;
  agents(ids: readonly string[]): Promise<Agent[]>;
  commands(ids: readonly string[]): Promise<Command[]>;
}

/** Rows of which notices told that they changed. */
export interface Told {
  incidents: ReadonlySet<number>;
  agents: ReadonlySet<string>;
  commands: ReadonlySet<string>;
}

/** One change, as a stream tells it. */
export interface ChangeEvent {
  name: "incident" | "agent" | "command" | "timeline";
  data: object;
}

/** All changes since a cursor. */
export interface Changes {
  cursor: Cursor;
  events: ChangeEvent[];
}

/**
 * Reads what has changed since a cursor. New lines of the timeline are found by it alone, and name incidents and commands. Other rows
 * are those of the notices; without them (`told` undefined: notices were missed) all are compared with the cursor, but for resolved
 * incidents of which the timeline says nothing. Undefined when that is too much to tell.
 */
export async function readChanges(
  sources: ChangeSources,
  since: Cursor,
  told: Told | undefined,
): Promise<Changes | undefined> {
  const written = await sources.lines(since, CHANGES_MAX);
  if (written === undefined || written.cursor.atS - since.atS > CURSOR_AGE_MAX_S) return undefined;
  const { cursor, lines } = written;
  // Which incidents are silenced has changed, and no row of theirs.
  if (told === undefined && lines.some(({ kind }) => kind.startsWith(SILENCE_KINDS))) return undefined;
  const [incidentIds, agentIds] = told
    ? [told.incidents, told.agents]
    : await Promise.all([sources.openIncidents(since, CHANGES_MAX + 1), sources.changedAgents(since, CHANGES_MAX + 1)]);
  const ids = {
    incidents: new Set([...incidentIds, ...named(lines, "incident_id")]),
    agents: new Set(agentIds),
    commands: new Set([...(told?.commands ?? []), ...named(lines, "command_id")]),
  };
  if (Object.values(ids).some(({ size }) => size > CHANGES_MAX)) return undefined;
  return { cursor, events: await eventsOf(sources, ids, lines, since) };
}

function named<K extends "incident_id" | "command_id">(lines: readonly AuditLine[], key: K) {
  return lines.map((line) => line[key]).filter((id) => id !== null);
}

async function eventsOf(
  sources: ChangeSources,
  ids: Told,
  lines: readonly AuditLine[],
  since: Cursor,
): Promise<ChangeEvent[]> {
  const [incidents, agents, commands] = await Promise.all([
    ids.incidents.size > 0 ? sources.incidents([...ids.incidents]) : [],
    ids.agents.size > 0 ? sources.agents([...ids.agents]) : [],
    ids.commands.size > 0 ? sources.commands([...ids.commands]) : [],
  ]);
  const opened = incidents.filter(({ created_at: at }) => at.getTime() / 1000 > since.atS - OPENING_S_MAX);
  return [
    ...incidents.map((one) => ({ name: "incident" as const, data: onWire(one) })),
    ...agents.map((one) => ({ name: "agent" as const, data: onWire(one) })),
    ...commands.map((one) => ({ name: "command" as const, data: commandOf(one) })),
    ...[...opened.map(openingOf), ...lines].map((one) => ({ name: "timeline" as const, data: onWire(one) })),
  ];
}

/** That it opened, as the timeline of all hosts tells it: no line is stored for it. May come again while it is new. */
function openingOf({ id, created_at: at, agent_id, host, source, severity }: ShortIncident): AuditLine {
  const whom = { agent_id, host, incident_id: id, command_id: null };
  return { id: -id, at, kind: "opened", actor: "agent", ...whom, data: { source, severity } };
}

/** A command as a stream tells it: without its output, which may be long. */
export type CommandNews = Pick<
  CommandView,
  "id" | "agent_id" | "incident_id" | "command" | "status" | "exit_code" | "duration_ms" | "finished_at"
>;

function commandOf(one: Command): CommandNews {
  const { id, agent_id, incident_id, command, status, exit_code, duration_ms, finished_at } = one;
  return onWire({ id, agent_id, incident_id, command, status, exit_code, duration_ms, finished_at });
}
