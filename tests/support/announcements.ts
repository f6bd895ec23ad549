import { Registry } from "prom-client";
import type { IncidentView, Notifier, View } from "../../src/announcements/model.ts";
import { type Announcements, createAnnouncements } from "../../src/announcements/service.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { quiet } from "./log.ts";
import type { TestDatabase } from "./postgres.ts";

/** A call that an outlet received. */
export interface OutletCall {
  what: "post" | "edit" | "find" | "reply";
  view: View | null;
  text: string | null;
  externalId: string | null;
  atMs: number;
}

/** An outlet in memory, which a test makes fail. */
export interface TestOutlet extends Notifier {
  readonly calls: OutletCall[];
  /** What stands there, by external id, as last posted or edited. */
  readonly messages: Map<string, View>;
  /** Runs before (`land` false) or after a message has landed; what it throws is the call's end. */
  behave(behaviour: (call: OutletCall) => Promise<void> | void, options?: { land?: boolean }): void;
  posts(): OutletCall[];
}

/** Makes an outlet that takes everything. */
export function createTestOutlet(options: { outlet?: string; edits?: boolean; intervalMs?: number } = {}): TestOutlet {
  const calls: OutletCall[] = [];
  const messages = new Map<string, View>();
  let behaviour: (call: OutletCall) => Promise<void> | void = () => undefined;
  let landsFirst = false;
  const edits = options.edits ?? true;

  async function take(call: OutletCall, land: () => void): Promise<void> {
    calls.push(call);
    if (landsFirst) land();
    await behaviour(call);
    if (!landsFirst) land();
  }
  const call = (what: OutletCall["what"], given: Partial<OutletCall>): OutletCall => ({
    what,
    view: null,
    text: null,
    externalId: null,
    atMs: performance.now(),
    ...given,
  });

  return {
    outlet: options.outlet ?? "test",
    intervalMs: options.intervalMs ?? 1,
    edits,
    calls,
    messages,
    behave(next, { land = false } = {}) {
      behaviour = next;
      landsFirst = land;
    },
    posts: () => calls.filter((one) => one.what === "post"),
    async post(view) {
      const externalId = `m${calls.length}`;
      await take(call("post", { view, externalId }), () => messages.set(externalId, view));
      return { externalId: edits ? externalId : null };
    },
    async edit(externalId, view) {
      await take(call("edit", { view, externalId }), () => messages.set(externalId ?? "", view));
    },
    async find(view) {
      calls.push(call("find", { view }));
      return edits ? [...messages].find(([, there]) => subjectOf(there) === subjectOf(view))?.[0] : undefined;
    },
    reply: edits
      ? async (externalId, _subject, reply) => take(call("reply", { externalId, text: reply.text }), () => undefined)
      : null,
  };
}

/** What a message is about: "incident 5". */
export function subjectOf(view: View): string {
  return view.kind === "incident" ? `incident ${view.incident.id}` : `digest ${view.digest.id}`;
}

/** The incident that a call shows. */
export function shownBy(call: OutletCall | undefined): IncidentView {
  if (call?.view?.kind !== "incident") throw new Error("no incident is shown");
  return call.view.incident;
}

/** A node's announcements over real tables. */
export function createNode(
  { database }: TestDatabase,
  notifiers: readonly Notifier[],
  options: { silenced?: (id: number) => string | undefined } = {},
): Announcements {
  const node = createAnnouncements({
    sql: database.sql,
    createSession: database.createSession,
    notifiers,
    silences: {
      match: async (_, incidents) =>
        new Map(
          incidents.flatMap(({ id }) => {
            const why = options.silenced?.(id);
            return why === undefined ? [] : [[id, why] as const];
          }),
        ),
    },
    notify: async () => undefined,
    publicUrl: "https://ops.example.com",
    registry: new Registry(),
    clock: createSystemClock(),
    log: quiet,
  });
  return node;
}

/** A new agent; returns its id. */
export async function addAgent({ database }: TestDatabase, allow: string[] | null = null): Promise<string> {
  const id = crypto.randomUUID();
  await database.sql`
    insert into agents (id, token_hash, hostname, last_seen_at, meta)
    values (${id}, ${id.replaceAll("-", "")}, 'web-01', now(), ${database.sql.json(allow ? { allow } : {})})`;
  return id;
}

/** What an incident of a test is, beside its defaults. */
export interface TestIncident {
  type?: string;
  source?: string;
  category?: string;
  severity?: string | null;
  status?: string;
  fingerprint?: string;
  previousId?: number | null;
  /** Seconds ago. */
  occurredAgoS?: number;
  resolvedAgoS?: number | null;
}

/** An incident that was just explained, with its first alert; returns its id. */
export async function addIncident(
  { database }: TestDatabase,
  agentId: string,
  given: TestIncident = {},
): Promise<number> {
  const { type = "systemd", source = "nginx", category = "port_conflict", severity = "warning" } = given;
  const { fingerprint = crypto.randomUUID(), previousId = null, occurredAgoS = 0, resolvedAgoS = null } = given;
  const status = given.status ?? (resolvedAgoS === null ? "analyzed" : "resolved");
  const analysis = {
    by: "heuristic",
    category,
    confidence: 0.9,
    decisive: "bind() failed",
    heuristic: {},
    model: null,
  };
  const { sql } = database;
  const [row] = await sql<{ id: number }[]>`
    insert into incidents (agent_id, type, source, raw_error, message_chars, ai_analysis, ai_solution, analysis, status,
      fingerprint, severity, last_seen_at, previous_id, resolved_at)
    values (${agentId}, ${type}, ${source}, 'nginx failed', 12, 'Port 80 is taken.', 'Stop the other one.',
      ${sql.json(analysis)}, ${status}, ${fingerprint}, ${severity}, now() - make_interval(secs => ${occurredAgoS}),
      ${previousId}, now() - make_interval(secs => ${resolvedAgoS}::float8))
    returning id`;
  const id = row?.id ?? 0;
  await sql`
    insert into alerts (uuid, agent_id, incident_id, state, occurred_at, received_at)
    values (${crypto.randomUUID()}, ${agentId}, ${id}, 'firing', now() - make_interval(secs => ${occurredAgoS}), now())`;
  return id;
}
