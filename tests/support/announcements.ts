import { Registry } from "prom-client";
import { alreadyOver, createDecider } from "../../src/announcements/decide.ts";
import { raiseLead, waitForLead } from "../../src/announcements/leader-store.ts";
import type { IncidentView, Notifier, View } from "../../src/announcements/model.ts";
import { createOutletStore, type OutletStore } from "../../src/announcements/outlet-store.ts";
import type { RoutedOutlet } from "../../src/announcements/routing.ts";
import { createRoutingMuter } from "../../src/announcements/routing-store.ts";
import { type Announcements, createAnnouncementMetrics, createAnnouncements } from "../../src/announcements/service.ts";
import { endStorms, stormMuter } from "../../src/announcements/storm-store.ts";
import { createFeedbackStore } from "../../src/feedback/store.ts";
import { attachToCauses, consequencesMuter } from "../../src/incidents/cause-store.ts";
import type { Muter } from "../../src/incidents/model.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import type { Daily } from "../../src/lib/hours.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { quiet } from "./log.ts";
import type { TestDatabase } from "./postgres.ts";

const writer = createIncidentWriter();

/** A call that an outlet received. */
export interface OutletCall {
  what: "post" | "edit" | "find" | "reply" | "edit_reply";
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
export function createTestOutlet(
  options: {
    outlet?: string;
    edits?: boolean;
    canRepeat?: boolean;
    intervalMs?: number;
    messages?: Map<string, View>;
  } = {},
): TestOutlet {
  const calls: OutletCall[] = [];
  const { messages = new Map<string, View>() } = options;
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
    ...(options.canRepeat === undefined ? {} : { canRepeat: options.canRepeat }),
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
      ? async (externalId, _subject, reply) => {
          await take(call("reply", { externalId, text: reply.text }), () => undefined);
          return `${externalId}/r${calls.length}`;
        }
      : null,
    async editReply(externalId, { text }) {
      await take(call("edit_reply", { externalId, text }), () => undefined);
    },
  };
}

/** What a message is about: "incident 5". */
export function subjectOf(view: View): string {
  if (view.kind === "notice") return `notice ${view.notice.id}`;
  return view.kind === "incident" ? `incident ${view.incident.id}` : `storm ${view.storm.id}`;
}

/** The incident that a call shows. */
export function shownBy(call: OutletCall | undefined): IncidentView {
  if (call?.view?.kind !== "incident") throw new Error("no incident is shown");
  return call.view.incident;
}

/** A node's announcements over real tables, and what its leader would do by itself. */
export interface TestNode extends Announcements {
  /** As the pipeline does: these are explained, tied to their causes and expected; then decided, as the leader would. */
  decide(ids: readonly number[]): Promise<void>;
  /** What only time changes, as if that time had come. */
  sweep(): Promise<void>;
}

/** What a node of a test is, beside its defaults. */
export interface TestNodeOptions {
  silenced?: (id: number) => string | undefined;
  registry?: Registry;
  routes?: readonly RoutedOutlet[];
  remindMs?: number;
  digest?: Daily;
}

/** Makes a node. Until it is started, its leader decides when it is told to. */
export function createNode(
  { database }: TestDatabase,
  notifiers: readonly Notifier[],
  { silenced = () => undefined, registry = new Registry(), routes = [], remindMs, digest }: TestNodeOptions = {},
): TestNode {
  const { sql } = database;
  const clock = createSystemClock();
  const silences: Muter = {
    name: "silences",
    mutes: async (_, incidents) =>
      new Map(
        incidents.flatMap(({ id }) => {
          const why = silenced(id);
          return why === undefined ? [] : [[id, { why }] as const];
        }),
      ),
  };
  const muters = [silences, alreadyOver, consequencesMuter, createRoutingMuter(routes), stormMuter];
  const remind = remindMs === undefined ? null : { everyMs: remindMs, muters: [silences, consequencesMuter] };
  const node = createAnnouncements({
    sql,
    createSession: database.createSession,
    notifiers,
    muters,
    routes,
    remind,
    digest: digest ?? null,
    writer,
    feedback: createFeedbackStore(sql),
    publicUrl: "https://ops.example.com",
    registry,
    loops: createLoops(clock, quiet),
    clock,
    log: quiet,
  });
  const metrics = createAnnouncementMetrics(new Registry(), async () => []);
  let isStarted = false;

  /** Does it for each outlet, alone over all nodes. */
  async function asLeader(work: (outlet: string, store: OutletStore) => Promise<void>): Promise<void> {
    for (const { outlet } of notifiers) {
      const session = database.createSession();
      try {
        await waitForLead(session, outlet);
        const lead = await raiseLead(session, outlet);
        await work(outlet, createOutletStore(sql, { outlet, lead, writer }));
      } finally {
        await session.end();
      }
    }
  }
  const decideDue = async (outlet: string, store: OutletStore) => {
    const escalatesAfterMs = routes.find(({ name }) => name === outlet)?.escalatesAfterMs ?? null;
    const decider = createDecider({ outlet, sql, store, muters, writer, log: quiet, metrics, escalatesAfterMs });
    while (await decider.decideDue(new AbortController().signal));
  };

  return {
    ...node,
    start() {
      isStarted = true;
      node.start();
    },
    async decide(ids) {
      await sql.begin(async (tx) => {
        await attachToCauses(tx, ids, writer);
        await node.expect(tx, ids);
      });
      if (isStarted) node.wake();
      else await asLeader(decideDue);
    },
    async sweep() {
      const tidyUp = async (outlet: string, store: OutletStore) => {
        await endStorms(sql, outlet);
        await store.close();
      };
      if (!isStarted) {
        return asLeader(async (outlet, store) => {
          await decideDue(outlet, store);
          await tidyUp(outlet, store);
        });
      }
      const leads = await sql<{ outlet: string; lead: number }[]>`select outlet, lead::int from outlets`;
      for (const { outlet, lead } of leads) await tidyUp(outlet, createOutletStore(sql, { outlet, lead, writer }));
      node.wake();
    },
  };
}
