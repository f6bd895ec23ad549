import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type GroupingFacts,
  type GroupingPlan,
  type IncomingAlert,
  planGrouping,
  RESOLVED_BY_AGENT,
  subjectOf,
} from "../../src/incidents/grouping.ts";
import { fingerprintOf, normalise } from "../../src/incidents/recorder.ts";
import { hashUuid } from "../../src/lib/hash.ts";

const AGENT = "11111111-1111-4111-8111-111111111111";
const WINDOW_MS = 300_000;
const NOTHING: GroupingFacts = { storedUuids: new Set(), open: [], resolutions: [] };

let next = 0;
function alert(over: Partial<IncomingAlert> = {}): IncomingAlert {
  const fields = { origin: "agent" as const, agentId: AGENT, type: "systemd", source: "nginx", ...over };
  return {
    uuid: `u${next++}`,
    messageId: null,
    fingerprint: `${subjectOf(fields)}/x`,
    state: "firing",
    severity: null,
    exitCode: null,
    rawError: "nginx crashed",
    messageChars: 13,
    occurredAt: 1_000_000,
    receivedAt: 1_000_000,
    ...fields,
  };
}

const openIncident = (over: Record<string, unknown> = {}) => ({
  id: 7,
  origin: "agent" as const,
  agentId: AGENT,
  type: "systemd",
  source: "nginx",
  fingerprint: alert().fingerprint,
  severity: null,
  lastSeenAt: 1_000_000,
  ...over,
});

const plan = (alerts: IncomingAlert[], facts: Partial<GroupingFacts> = {}): GroupingPlan =>
  planGrouping(alerts, { ...NOTHING, ...facts }, WINDOW_MS);

describe("what comes and goes", () => {
  const [fires, recovers] = [
    (occurredAt: number) => alert({ occurredAt }),
    (occurredAt: number) => alert({ occurredAt, state: "resolved" }),
  ];
  const flaps = (result: GroupingPlan) => result.events.filter(({ kind }) => kind === "flapping").length;

  test("within one batch is two incidents, of which the second is not over yet", () => {
    const batch = [0, 1, 2, 3, 4].flatMap((n) => [fires(1_000_000 + n * 10_000), recovers(1_005_000 + n * 10_000)]);
    const result = plan(batch);
    expect(result.opened).toMatchObject([
      { occurrences: 1, reason: "resolved by the agent" },
      { occurrences: 4, resolvedAt: null },
    ]);
    expect(flaps(result)).toBe(1);
  });

  test.each([
    ["at the end of the window", WINDOW_MS, 1],
    ["after it", WINDOW_MS + 1, 0],
  ])("flaps where the third change comes %s", (_, laterMs, expected) => {
    const ended = [{ fingerprint: alert().fingerprint, openedAt: 1_000_000 }];
    expect(flaps(plan([fires(1_000_000 + laterMs)], { ended }))).toBe(expected);
  });

  test("is not resolved by a recovery while it flaps; its message says that it is well", () => {
    const { changed, events, alerts } = plan([recovers(1_000_500)], { open: [openIncident({ isFlapping: true })] });
    expect(changed).toMatchObject([{ id: 7, resolvedAt: null, addOccurrences: 0 }]);
    expect(events).toEqual([]);
    expect(alerts).toMatchObject([{ incident: { id: 7 } }]);
  });

  test("ends by the server's own word whichever seems older by its nodes' clocks, and may begin again after that", () => {
    const own = { origin: "server" as const };
    const result = plan([
      alert({ ...own, occurredAt: 1_003_000 }),
      alert({ ...own, occurredAt: 1_000_000, state: "resolved" }),
      alert({ ...own, occurredAt: 999_000 }),
    ]);
    expect(result.opened.map(({ resolvedAt }) => resolvedAt)).toEqual([1_003_000, null]);
  });

  test("is not damped where the server says it itself", () => {
    const own = { origin: "server" as const };
    const batch = [alert(own), alert({ ...own, state: "resolved" }), alert(own), alert({ ...own, state: "resolved" })];
    expect(plan(batch).opened.map(({ resolvedAt }) => resolvedAt === null)).toEqual([false, false]);
  });
});

describe("a firing alert", () => {
  test("with no open incident opens one that carries its text", () => {
    const { opened, alerts, changed } = plan([alert()]);
    expect(opened).toHaveLength(1);
    expect(opened[0]).toMatchObject({ occurrences: 1, resolvedAt: null });
    expect(alerts).toMatchObject([{ incident: { opened: 1 }, isFirst: true }]);
    expect(changed).toEqual([]);
  });

  test.each([
    ["just inside the window", 1_000_000 + WINDOW_MS - 1, 1],
    ["long before the last one", 1_000, 1],
  ])("%s joins the open incident", (_, occurredAt, occurrences) => {
    const { opened, changed, alerts } = plan([alert({ occurredAt })], { open: [openIncident()] });
    expect(opened).toEqual([]);
    expect(changed).toMatchObject([{ id: 7, addOccurrences: occurrences, resolvedAt: null }]);
    expect(changed[0]?.lastSeenAt).toBe(Math.max(1_000_000, occurredAt));
    expect(alerts).toMatchObject([{ incident: { id: 7 }, isFirst: false }]);
  });

  test("at the end of the window opens a new incident; the old one is superseded, linked both ways", () => {
    const { opened, changed, events } = plan([alert({ occurredAt: 1_000_000 + WINDOW_MS })], {
      open: [openIncident()],
    });
    expect(opened).toMatchObject([{ previous: { id: 7 }, resolvedAt: null }]);
    expect(changed).toMatchObject([{ id: 7, reason: "superseded", next: { opened: 1 }, addOccurrences: 0 }]);
    expect(events).toMatchObject([{ incident: { id: 7 }, kind: "superseded" }]);
  });

  test("after a recovery in the same batch opens a new incident, linked both ways with the last", () => {
    const recovery = alert({ state: "resolved", occurredAt: 1_000_100 });
    const alerts = [recovery, alert({ occurredAt: 1_000_200 })];
    const { opened, changed } = plan(alerts, { open: [openIncident()] });
    expect(opened).toMatchObject([{ previous: { id: 7 }, resolvedAt: null }]);
    expect(changed).toMatchObject([{ id: 7, reason: "resolved by the agent", next: { opened: 1 } }]);
    const fresh = plan([alert({ occurredAt: 1_000_000 }), recovery, alert({ occurredAt: 1_000_200 })]);
    expect(fresh.opened).toMatchObject([{ next: { opened: 2 } }, { previous: { opened: 1 } }]);
  });

  test("raises the severity of its incident and never lowers it", () => {
    const alerts = [alert({ severity: "warning" }), alert({ severity: "critical" }), alert({ severity: "info" })];
    expect(plan(alerts).opened).toMatchObject([{ severity: "critical", occurrences: 3 }]);
  });
});

describe("a repeat", () => {
  test("of a stored alert has no effect", () => {
    const repeated = alert();
    expect(plan([repeated], { storedUuids: new Set([repeated.uuid]) }).alerts).toEqual([]);
  });

  test("within the batch has no effect", () => {
    const repeated = alert();
    expect(plan([repeated, { ...repeated }]).opened).toMatchObject([{ occurrences: 1 }]);
  });
});

describe("a resolution", () => {
  test("closes what is open of its agent, type and source, and nothing else", () => {
    const facts = {
      open: [
        openIncident(),
        openIncident({ id: 8, fingerprint: "other" }),
        openIncident({ id: 9, source: "redis", fingerprint: "r" }),
      ],
    };
    const { changed, alerts, opened } = plan([alert({ state: "resolved", occurredAt: 2_000_000 })], facts);
    expect(changed.map((row) => [row.id, row.resolvedAt])).toEqual([
      [7, 2_000_000],
      [8, 2_000_000],
    ]);
    expect(alerts).toHaveLength(1);
    expect(opened).toEqual([]);
  });

  test("leaves open what fired after it", () => {
    const { changed } = plan([alert({ state: "resolved", occurredAt: 999_999 })], { open: [openIncident()] });
    expect(changed).toEqual([]);
  });

  test("with nothing open is stored and opens nothing", () => {
    const { opened, alerts } = plan([alert({ state: "resolved" })]);
    expect(opened).toEqual([]);
    expect(alerts).toMatchObject([{ incident: null }]);
  });

  test("between two firings in one batch splits them into two incidents", () => {
    const { opened, alerts } = plan([
      alert({ occurredAt: 10 }),
      alert({ state: "resolved", occurredAt: 20 }),
      alert({ occurredAt: 30 }),
    ]);
    expect(opened).toMatchObject([{ resolvedAt: 20 }, { resolvedAt: null }]);
    expect(alerts.map((row) => row.incident)).toEqual([{ opened: 1 }, { opened: 1 }, { opened: 2 }]);
  });
});

describe("a late alert", () => {
  const late = () => alert({ occurredAt: 500, receivedAt: 2_000_000 });

  test("becomes a row of the incident that the resolution closed, and changes nothing", () => {
    const resolutions = [
      { subject: subjectOf(late()), fingerprint: late().fingerprint, occurredAt: 1_000, incidentId: 7 },
    ];
    const { opened, changed, alerts } = plan([late()], { resolutions });
    expect([opened, changed]).toEqual([[], []]);
    expect(alerts).toMatchObject([{ incident: { id: 7 }, isFirst: false }]);
  });

  test("in the same batch as its resolution changes nothing either", () => {
    const { opened, alerts } = plan([
      alert({ occurredAt: 400 }),
      alert({ state: "resolved", occurredAt: 1_000 }),
      late(),
    ]);
    expect(opened).toMatchObject([{ occurrences: 1, resolvedAt: 1_000 }]);
    expect(alerts.at(-1)).toMatchObject({ incident: { opened: 1 }, isFirst: false });
  });

  test("whose incident was never seen is kept as an incident that is over", () => {
    const { opened } = plan([alert({ state: "resolved", occurredAt: 1_000 }), late(), late()]);
    expect(opened).toMatchObject([{ resolvedAt: 1_000, occurrences: 1 }]);
  });

  test("does not join an incident that opened after the resolution", () => {
    const { changed, alerts } = plan([late()], {
      open: [openIncident({ id: 12 })],
      resolutions: [{ subject: subjectOf(late()), fingerprint: late().fingerprint, occurredAt: 1_000, incidentId: 7 }],
    });
    expect(changed).toEqual([]);
    expect(alerts).toMatchObject([{ incident: { id: 7 } }]);
  });
});

describe("however a stream is cut into batches", () => {
  const step = fc.record({
    source: fc.constantFrom("nginx", "redis"),
    state: fc.constantFrom("firing" as const, "firing" as const, "resolved" as const),
    occurredAt: fc.integer({ min: 0, max: 20 }).map((n) => n * 60_000),
  });

  /** Applies plans to a little database, batch by batch, and tells the open incidents that remain. */
  function run(batches: IncomingAlert[][]): { open: string[]; occurrences: number } {
    interface Row {
      id: number;
      fingerprint: string;
      source: string;
      openedAt: number;
      lastSeenAt: number;
      n: number;
      open: boolean;
      reason: string | null;
      isFlapping: boolean;
    }
    const rows: Row[] = [];
    const lastEnded = (fingerprint: string) => rows.findLast((row) => row.fingerprint === fingerprint && !row.open);
    const lastResolution = new Map<string, { occurredAt: number; incidentId: number | null }>();
    for (const batch of batches) {
      const facts: GroupingFacts = {
        storedUuids: new Set(),
        open: rows.filter((row) => row.open).map((row) => openIncident({ ...row })),
        resolutions: batch.flatMap((one) => {
          const past = lastResolution.get(subjectOf(one));
          return past ? [{ subject: subjectOf(one), fingerprint: one.fingerprint, ...past }] : [];
        }),
        ended: batch.flatMap(({ fingerprint }) => {
          const last = lastEnded(fingerprint);
          return last?.reason === RESOLVED_BY_AGENT ? [{ fingerprint, openedAt: last.openedAt }] : [];
        }),
      };
      const result = planGrouping(batch, facts, WINDOW_MS);
      const base = rows.length;
      for (const row of result.opened) {
        const { fingerprint, source } = row.alert;
        rows.push({
          id: rows.length + 1,
          fingerprint,
          source,
          openedAt: row.alert.occurredAt,
          lastSeenAt: row.lastSeenAt,
          n: row.occurrences,
          open: row.resolvedAt === null,
          reason: row.reason,
          isFlapping: false,
        });
      }
      for (const change of result.changed) {
        const row = rows[change.id - 1];
        if (!row) throw new Error("a change of an incident that is not there");
        row.n += change.addOccurrences;
        row.lastSeenAt = Math.max(row.lastSeenAt, change.lastSeenAt);
        if (change.resolvedAt !== null) Object.assign(row, { open: false, reason: change.reason });
      }
      for (const { kind, incident } of result.events) {
        const row = rows["id" in incident ? incident.id - 1 : base + incident.opened - 1];
        if (row && kind === "flapping") row.isFlapping = true;
      }
      for (const { alert: one, incident } of result.alerts) {
        if (one.state !== "resolved") continue;
        const past = lastResolution.get(subjectOf(one));
        const id = incident === null ? null : "id" in incident ? incident.id : base + incident.opened;
        lastResolution.set(subjectOf(one), {
          occurredAt: Math.max(past?.occurredAt ?? 0, one.occurredAt),
          incidentId: id ?? past?.incidentId ?? null,
        });
      }
    }
    const open = rows.filter((row) => row.open).map((row) => `${row.source}@${row.lastSeenAt}x${row.n}`);
    return { open: open.sort(), occurrences: rows.reduce((sum, row) => sum + row.n, 0) };
  }

  test("the same incidents are open in the end, and at most one of a fingerprint", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 7 }), (steps, size) => {
        const stream = steps.map((fields) => alert({ ...fields, receivedAt: 10_000_000 }));
        const batches = Array.from({ length: Math.ceil(stream.length / size) }, (_, at) =>
          stream.slice(at * size, at * size + size),
        );
        const whole = run([stream]);
        expect(run(batches).open).toEqual(whole.open);
        expect(new Set(whole.open.map((text) => text.split("@")[0])).size).toBe(whole.open.length);
      }),
    );
  });
});

describe("fingerprints", () => {
  test.each([
    ["worker 17 died", "worker 4711 died"],
    ["container 3f2a9c0d exited", "container b71e0aa9 exited"],
    ["disk\t\tfull\n", "disk full"],
  ])("%p and %p are the same problem", (a, b) => {
    expect(normalise(a)).toBe(normalise(b));
  });

  test.each([
    ["worker died", "worker lived"],
    ["connection refused", "connection reset"],
  ])("%p and %p are not", (a, b) => {
    expect(normalise(a)).not.toBe(normalise(b));
  });

  test("differ by agent, type and source, and look only at the first 512 characters", () => {
    const long = "a".repeat(512);
    const agent = { origin: "agent", agentId: AGENT } as const;
    const alert = { type: "systemd", source: "nginx", message: long };
    const base = fingerprintOf(agent, alert);
    expect(fingerprintOf(agent, { ...alert, message: `${long}b` })).toBe(base);
    expect(fingerprintOf(agent, { ...alert, type: "docker" })).not.toBe(base);
    expect(fingerprintOf(agent, { ...alert, source: "redis" })).not.toBe(base);
    expect(fingerprintOf({ ...agent, agentId: AGENT.replace("1", "2") }, alert)).not.toBe(base);
    expect(fingerprintOf({ ...agent, origin: "server" }, alert)).not.toBe(base);
  });

  test("of agents are those of earlier releases", () => {
    const alert = { type: "systemd", source: "nginx", message: "nginx crashed" };
    const fingerprint = fingerprintOf({ origin: "agent", agentId: AGENT }, alert);
    expect(fingerprint).toBe(hashUuid(`${AGENT}\0systemd\0nginx\0nginx crashed`));
  });

  test("any text has one, quickly normalised and never longer than what was looked at", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 2000 }), (text) => normalise(text).length <= 512));
  });
});
