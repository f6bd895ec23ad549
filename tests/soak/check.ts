import type { Sql } from "postgres";
import { INCIDENT_EVENT, STORM_EVENT } from "../../src/slack/blocks.ts";
import type { FakeMessage } from "../support/fake-slack-api.ts";
import type { Known, SoakHost } from "./agents.ts";

/** What the checker counted, and each thing that is wrong in words; none is as promised. */
export interface Findings {
  readonly alertsKept: number;
  readonly alertsAcknowledged: number;
  readonly alertsStored: number;
  readonly incidents: number;
  /** By a message of their own, and in the one of a storm. */
  readonly toldAlone: number;
  readonly toldInStorms: number;
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  /** Neither lost nor doubled, and not as it must be: counted wrong, filed wrong, refused, told to nobody. */
  readonly wrong: readonly string[];
}

type Host = SoakHost & { readonly known: Known };

interface StoredAlert {
  readonly agentId: string;
  readonly messageId: string;
  readonly times: number;
  readonly source: string | null;
}

interface StoredIncident {
  readonly id: number;
  readonly agentId: string;
  readonly origin: string;
  readonly type: string;
  readonly source: string;
  readonly occurrences: number;
  readonly alerts: number;
  readonly state: string | null;
  readonly stormId: number | null;
}

/** Compares what agents know with what is stored, and that with what Slack was told. */
export async function findWrong(sql: Sql, hosts: readonly Host[], messages: readonly FakeMessage[]): Promise<Findings> {
  const alerts = await sql<StoredAlert[]>`
    select a.agent_id as "agentId", a.message_id as "messageId", count(*)::int as times, min(i.source) as source
    from alerts a left join incidents i on i.id = a.incident_id where a.message_id is not null group by 1, 2`;
  const incidents = await sql<StoredIncident[]>`
    select i.id, i.agent_id as "agentId", i.origin, i.type, i.source, i.occurrences, n.state, n.storm_id::int as "stormId",
      (select count(*)::int from alerts a where a.incident_id = i.id) as alerts
    from incidents i left join announcements n on n.incident_id = i.id and n.kind = 'incident' and n.outlet = 'slack'`;
  const storms = await sql<
    { id: number }[]
  >`select id::int from announcements where kind = 'storm' and outlet = 'slack'`;
  const told = { incidents: timesTold(messages, INCIDENT_EVENT), storms: timesTold(messages, STORM_EVENT) };
  const ofAgents = incidents.filter(({ origin }) => origin === "agent");
  return {
    alertsKept: total(hosts, ({ known }) => known.kept.size),
    alertsAcknowledged: total(hosts, ({ known }) => known.acknowledged.size),
    alertsStored: alerts.length,
    incidents: incidents.length,
    toldAlone: incidents.filter(({ state }) => state === "sent").length,
    toldInStorms: incidents.filter(({ stormId }) => stormId !== null).length,
    lost: [...hosts.flatMap((host) => lostAlerts(host, alerts)), ...untold(incidents, told.incidents, told.storms)],
    doubled: [
      ...alerts.filter(({ times }) => times > 1).map(({ messageId, times }) => `${messageId} is stored ${times} times`),
      ...twiceOpen(ofAgents),
      ...incidents.flatMap(({ id }) => toldTwice(`incident ${id}`, told.incidents.get(id))),
      ...storms.flatMap(({ id }) => toldTwice(`storm ${id}`, told.storms.get(id))),
    ],
    wrong: [
      ...ofAgents.filter((one) => one.occurrences !== one.alerts).map(describeCount),
      ...alerts
        .filter(({ messageId, source }) => source !== messageId.split(":")[0])
        .map(({ messageId, source }) => `${messageId} is filed under ${source}`),
      ...hosts.flatMap(({ known }) => known.refused.map((line) => `refused: ${line}`)),
    ],
  };
}

const total = <T>(all: readonly T[], countOf: (one: T) => number) => all.reduce((sum, one) => sum + countOf(one), 0);

/** By what each message is about. */
function timesTold(messages: readonly FakeMessage[], event: string): Map<number, number> {
  const times = new Map<number, number>();
  for (const { metadata, thread } of messages) {
    if (thread !== null || metadata?.event_type !== event) continue;
    const [id] = Object.values<number>(metadata.event_payload);
    if (id !== undefined) times.set(id, (times.get(id) ?? 0) + 1);
  }
  return times;
}

/** What an agent no longer keeps, since it was acknowledged, and what it kept to the end. */
function lostAlerts({ id, name, known }: Host, alerts: readonly StoredAlert[]): string[] {
  const stored = new Set(alerts.filter(({ agentId }) => agentId === id).map(({ messageId }) => messageId));
  const missing = [...known.kept.union(known.acknowledged)].filter((one) => !stored.has(one));
  const refused = known.refused.map((line) => line.split(" ")[0]);
  return missing
    .filter((one) => !refused.includes(one))
    .map((one) => `${name}: ${one} was ${known.acknowledged.has(one) ? "acknowledged" : "kept"} and is not stored`);
}

/** Said to be told, and not there; or told to nobody for no reason. */
function untold(
  incidents: readonly StoredIncident[],
  told: ReadonlyMap<number, number>,
  storms: ReadonlyMap<number, number>,
): string[] {
  return incidents.flatMap(({ id, state, stormId }) => {
    if (state === "sent" && !told.has(id)) return [`incident ${id} is said to be told, and is not in Slack`];
    if (stormId !== null && !storms.has(stormId))
      return [`storm ${stormId}, in which incident ${id} is told, is not in Slack`];
    return state === "sent" || state === "withheld" ? [] : [`incident ${id} is ${state ?? "undecided"}`];
  });
}

/** One problem is one incident: they are grouped for longer than this takes. */
function twiceOpen(incidents: readonly StoredIncident[]): string[] {
  const byProblem = Map.groupBy(incidents, ({ agentId, type, source }) => `${agentId} ${type} ${source}`);
  return [...byProblem]
    .filter(([, same]) => same.length > 1)
    .map(([name, same]) => `${name} is ${same.length} incidents`);
}

function toldTwice(what: string, times = 0): string[] {
  return times > 1 ? [`${what} was told ${times} times`] : [];
}

function describeCount({ id, occurrences, alerts }: StoredIncident): string {
  return `incident ${id} counts ${occurrences} occurrences of ${alerts} alerts`;
}
