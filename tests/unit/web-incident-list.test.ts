import { describe, expect, test } from "bun:test";
import type { Api } from "../../src/web/data/api.ts";
import { createIncidentList } from "../../src/web/data/incident-list.ts";
import { compareIncidents, cursorAfter, matcherOf, OPEN_FILTER } from "../../src/web/data/incident-order.ts";
import type { ShortIncident } from "../../src/web/data/model.ts";

function incident(id: number, changes: Partial<ShortIncident> = {}): ShortIncident {
  const at = "2026-01-01T00:00:00Z";
  return {
    id,
    revision: 1,
    status: "analyzed",
    severity: "warning",
    type: "systemd",
    source: `unit-${id}`,
    origin: "agent",
    agent_id: "a",
    host: "web-1",
    title: "it failed",
    cause: null,
    confidence: null,
    by: null,
    occurrences: 1,
    created_at: at,
    last_seen_at: at,
    updated_at: at,
    resolved_at: null,
    parent_id: null,
    children: 0,
    decision: null,
    silenced: false,
    doubted: false,
    ...changes,
  };
}

/** A list whose server answers these pages one after the other; what is drawn is drawn at once. */
function listOf(...pages: ShortIncident[][]) {
  return drawnList((draw) => draw(), pages);
}

function drawnList(soon: (draw: () => void) => void, pages: ShortIncident[][]) {
  const asked: string[] = [];
  const api = {
    list: async (path: string) => {
      asked.push(path);
      const rows = pages.shift() ?? [];
      return { rows, next: pages.length > 0 ? `/next/${pages.length}` : undefined };
    },
  } as unknown as Api;
  const list = createIncidentList({ api, filter: OPEN_FILTER, soon });
  const ids = () => list.rows.value.map(({ id }) => id);
  const tell = (data: ShortIncident) => list.apply({ kind: "incident", data });
  return { list, ids, tell, asked };
}

describe("a list of incidents", () => {
  test("stands in the order of urgency, and takes what the stream brings", async () => {
    const { list, ids, tell } = listOf([incident(1), incident(2, { severity: "critical" })]);
    await list.load();
    expect(ids()).toEqual([2, 1]);
    tell(incident(3, { severity: "critical" }));
    expect(ids()).toEqual([3, 2, 1]);
    tell(incident(3, { severity: "critical", status: "acknowledged", revision: 2 }));
    expect(ids()).toEqual([2, 1, 3]);
    tell(incident(2, { status: "resolved", revision: 2 }));
    expect(ids()).toEqual([1, 3]);
  });

  test("draws the first of many at once, and the others with the next frame", async () => {
    const frames: (() => void)[] = [];
    const { list, ids, tell } = drawnList((draw) => frames.push(draw), [[incident(1)]]);
    await list.load();
    for (const id of [2, 3, 4]) tell(incident(id));
    expect({ ids: ids(), frames: frames.length }).toEqual({ ids: [2, 1], frames: 1 });
    frames.shift()?.();
    expect(ids()).toEqual([4, 3, 2, 1]);
    frames.shift()?.();
    expect(frames).toEqual([]);
    tell(incident(5));
    expect(ids()).toEqual([5, 4, 3, 2, 1]);
  });

  test("is not thrown back by an event that comes late or twice", async () => {
    const { list, ids, tell } = listOf([incident(1, { revision: 5, occurrences: 9 })]);
    await list.load();
    tell(incident(1, { revision: 4, occurrences: 8 }));
    tell(incident(1, { revision: 5, occurrences: 9 }));
    expect(ids()).toEqual([1]);
    expect(list.rows.value[0]?.occurrences).toBe(9);
  });

  test("loses nothing that came while the server was answering", async () => {
    const { list, ids, tell } = listOf([incident(1)]);
    const loading = list.load();
    tell(incident(2));
    await loading;
    expect(ids()).toEqual([2, 1]);
  });

  test("holds still under a reader who has scrolled, and counts what is new", async () => {
    const { list, ids, tell } = listOf([incident(1), incident(2)], [incident(0, { id: 90 })]);
    await list.load();
    list.hold(true);
    tell(incident(3, { severity: "critical" }));
    tell(incident(4, { severity: "critical" }));
    tell(incident(2, { status: "resolved", revision: 2 }));
    expect(ids()).toEqual([2, 1]);
    expect(list.rows.value[0]?.status).toBe("resolved");
    expect(list.waiting.value).toBe(2);
    await list.loadMore();
    expect(ids()).toEqual([2, 1, 90]);
    list.settle();
    expect(ids()).toEqual([4, 3, 90, 1]);
    expect(list.waiting.value).toBe(0);
  });

  test("goes on where the server has looked through a part in which nothing fits, and is empty only at the end", async () => {
    const { list, ids, asked } = listOf([], [], [incident(1)], [], [incident(2, { status: "resolved" })], []);
    const kinds: string[] = [];
    list.loading.subscribe(({ kind }) => void kinds.push(`${kind} ${list.rows.peek().length}`));
    await list.load();
    expect({ ids: ids(), asked: asked.length, more: list.hasMore.value }).toEqual({ ids: [1], asked: 3, more: true });
    await list.loadMore();
    expect({ ids: ids(), asked: asked.length, more: list.hasMore.value }).toEqual({ ids: [1], asked: 6, more: false });
    expect(kinds).not.toContain("ready 0");
    const nothing = listOf([], [], []);
    await nothing.list.load();
    expect({ kind: nothing.list.loading.value.kind, asked: nothing.asked.length }).toEqual({ kind: "ready", asked: 3 });
  });

  test("that looks through part after part begins anew when it has to", async () => {
    const { list, ids, asked } = listOf([], [], [], [incident(1)]);
    const loaded = list.load();
    list.apply({ kind: "reset", data: null });
    await loaded;
    expect({ ids: ids(), firsts: asked.filter((path) => path.startsWith("/v1/")).length }).toEqual({
      ids: [1],
      firsts: 2,
    });
  });

  test("folds consequences beneath their cause while that is open", async () => {
    const { list, ids, tell } = listOf([incident(1, { children: 1 }), incident(2, { parent_id: 1 })]);
    await list.load();
    expect(ids()).toEqual([1]);
    tell(incident(1, { status: "resolved", revision: 2 }));
    expect(ids()).toEqual([2]);
  });

  test("keeps a bounded number of rows, and asks for the rest where it ended", async () => {
    const { list, ids, tell, asked } = listOf([incident(1)]);
    await list.load();
    for (let id = 2; id <= 2_100; id++) tell(incident(id));
    expect(ids()).toHaveLength(2_000);
    expect(list.hasMore.value).toBe(true);
    await list.loadMore();
    expect(asked.at(-1)).toContain("cursor=4.101");
  });
});

test("urgency is the server's: undecided by severity, ungraded before info, then acknowledged, then ignored", () => {
  const all = [
    incident(1, { status: "ignored", severity: "critical" }),
    incident(2, { status: "acknowledged", severity: "critical" }),
    incident(3, { severity: "info" }),
    incident(4, { severity: null }),
    incident(5, { severity: "warning", status: "new" }),
    incident(6, { severity: "critical" }),
  ];
  expect(all.toSorted(compareIncidents("urgent")).map(({ id }) => id)).toEqual([6, 5, 4, 3, 2, 1]);
  expect(all.map((one) => cursorAfter("urgent", one))).toEqual(["0.1", "1.2", "2.3", "3.4", "4.5", "5.6"]);
});

test("filters fit as the server's do", () => {
  const one = incident(7, { host: "web-3", title: "Port 80 is taken", severity: "critical" });
  const fits = (changes: Partial<typeof OPEN_FILTER>) => matcherOf({ ...OPEN_FILTER, ...changes })(one);
  expect(fits({ q: "port WEB" })).toBe(true);
  expect(fits({ q: "port mail" })).toBe(false);
  expect(fits({ severity: "critical,warning" })).toBe(true);
  expect(fits({ severity: "info" })).toBe(false);
  expect(fits({ host: "web-*" })).toBe(true);
  expect(fits({ host: "web" })).toBe(false);
  expect(fits({ status: "resolved" })).toBe(false);
  expect(fits({ status: "new,analyzed" })).toBe(true);
});
