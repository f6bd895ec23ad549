import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { Registry } from "prom-client";
import { raiseLead } from "../../src/announcements/leader-store.ts";
import type { View } from "../../src/announcements/model.ts";
import { createOutletStore } from "../../src/announcements/outlet-store.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { DeliveryError } from "../../src/lib/errors.ts";
import {
  createNode,
  createTestOutlet,
  shownBy,
  subjectOf,
  type TestNode,
  type TestOutlet,
} from "../support/announcements.ts";
import { addAgent, addIncident, type TestIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let agent: string;
const nodes: TestNode[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  agent = await addAgent(database);
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
  await database.database.sql`truncate announcements, outlets, decisions, events, alerts, incidents, agents cascade`;
});
afterAll(() => database.close());

const writer = createIncidentWriter();
const sql = () => database.database.sql;

function start(...outlets: TestOutlet[]): TestNode {
  const node = createNode(database, outlets);
  nodes.push(node);
  node.start();
  return node;
}

async function announce(node: TestNode, given: TestIncident = {}): Promise<number> {
  const id = await addIncident(database, agent, given);
  await node.decide([id]);
  // Whoever leads is woken, as by the notice.
  for (const each of nodes) each.wake();
  return id;
}

const row = async (id: number, kind = "incident") => {
  const [found] = await sql()`
    select * from announcements where incident_id = ${id} and kind = ${kind} and outlet = 'test'`;
  return found;
};
const isIn = (id: number, state: string, ms = 8_000) =>
  until(async () => (await row(id))?.state === state, { what: `${id} is ${state}`, ms });
const lead = async () => {
  const [found] = await sql()<{ lead: number }[]>`select lead::int from outlets where outlet = 'test'`;
  return found?.lead ?? 0;
};
const timeline = async (id: number) => sql()`select kind, data from events where incident_id = ${id} order by id`;
const calls = (outlet: TestOutlet, what: string) => outlet.calls.filter((one) => one.what === what);
/** Something changed rows, and whoever follows them is woken. */
const change = async (changing: PromiseLike<unknown>) => {
  await changing;
  for (const node of nodes) node.wake();
};
/** Makes what waits for its time due now. */
const hurry = () =>
  change(sql()`
  update announcements set next_attempt_at = now(), attempted_at = attempted_at - interval '10 s' where closed_at is null`);

describe("an incident's message", () => {
  test("is posted once and says why, in the timeline too", async () => {
    const outlet = createTestOutlet();
    const node = start(outlet);
    const id = await announce(node);
    await isIn(id, "sent");
    expect(outlet.posts()).toHaveLength(1);
    expect(shownBy(outlet.posts()[0])).toMatchObject({
      id,
      hostname: "web-01",
      message: "nginx failed",
      why: "a new problem on this host",
      explanation: { by: "heuristic", cause: "Port 80 is taken.", evidence: ["bind() failed"] },
      url: `https://ops.example.com/app/incidents/${id}`,
    });
    expect([...(await timeline(id))]).toEqual([
      { kind: "announced", data: { outlet: "test", why: "a new problem on this host" } },
    ]);
    expect(await node.incidentOf("test", (await row(id))?.external_id)).toBe(id);
    expect(await node.incidentOf("test", "another")).toBeUndefined();
  });

  test("is edited at once when the state changes, with the newest state only", async () => {
    const outlet = createTestOutlet({ intervalMs: 200 });
    const id = await announce(start(outlet));
    await isIn(id, "sent");
    for (const status of ["acknowledged", "ignored", "resolved"]) {
      await change(
        sql()`update incidents set status = ${status}, updated_at = now(), revision = revision + 1 where id = ${id}`,
      );
    }
    await until(() => calls(outlet, "edit").length > 0);
    expect(shownBy(calls(outlet, "edit").at(-1)).status).toBe("resolved");
    expect(outlet.messages.size).toBe(1);
    await until(async () => {
      const [found] = await sql()`
        select from announcements a join incidents i on i.id = a.incident_id where a.shown_revision = i.revision`;
      return found;
    });
    expect(calls(outlet, "edit")).toHaveLength(1);
  });

  test("is edited for a counter now and then only, and not for what it does not show", async () => {
    const outlet = createTestOutlet();
    const id = await announce(start(outlet));
    await isIn(id, "sent");
    await change(
      sql()`update incidents set occurrences = 2, updated_at = now(), revision = revision + 1 where id = ${id}`,
    );
    await until(() => calls(outlet, "edit").length === 1);
    await change(
      sql()`update incidents set occurrences = 3, updated_at = now(), revision = revision + 1 where id = ${id}`,
    );
    await until(async () => {
      const [held] = await sql()`
        select from announcements a join incidents i on i.id = a.incident_id where a.shown_revision <> i.revision and a.decided_revision = i.revision`;
      return held;
    });
    await change(
      sql()`update incidents set severity = 'critical', updated_at = now(), revision = revision + 1 where id = ${id}`,
    );
    await until(() => calls(outlet, "edit").length === 2);
    expect(shownBy(calls(outlet, "edit")[1])).toMatchObject({ occurrences: 3, severity: "critical" });
    const before = (await row(id))?.shown_revision;
    await change(sql()`update incidents set updated_at = now(), revision = revision + 1 where id = ${id}`);
    await until(async () => (await row(id))?.shown_revision > before);
    expect(calls(outlet, "edit")).toHaveLength(2);
  });

  test("that was over before the first attempt is not posted", async () => {
    const outlet = createTestOutlet();
    const node = createNode(database, [outlet]);
    nodes.push(node);
    const [plain, critical] = [await announce(node), await announce(node, { severity: "critical" })];
    await change(
      sql()`update incidents set status = 'resolved', resolved_at = now(), updated_at = now(), revision = revision + 1`,
    );
    node.start();
    await isIn(critical, "sent");
    await isIn(plain, "withheld");
    expect(outlet.posts().map((one) => shownBy(one).id)).toEqual([critical]);
    expect([...(await timeline(plain))].map((line) => line.kind)).toEqual(["withheld"]);
  });

  test("is closed some time after the end, and stays as it is", async () => {
    const outlet = createTestOutlet();
    const node = start(outlet);
    const id = await announce(node);
    await isIn(id, "sent");
    await change(
      sql()`update incidents set status = 'resolved', updated_at = now() - interval '11 minutes', revision = revision + 1 where id = ${id}`,
    );
    await until(() => calls(outlet, "edit").length === 1);
    await until(async () => {
      await node.sweep();
      return (await row(id))?.closed_at;
    });
  });
});

describe("a call of which nobody knows how it ended", () => {
  test("is looked for, and what came through is adopted", async () => {
    const outlet = createTestOutlet();
    outlet.behave(
      ({ what }) => {
        if (what === "post") throw new DeliveryError("unknown", "the answer was lost");
      },
      { land: true },
    );
    const id = await announce(start(outlet));
    await isIn(id, "unknown");
    await hurry();
    await isIn(id, "sent");
    expect(outlet.posts()).toHaveLength(1);
    expect(outlet.messages.has((await row(id))?.external_id)).toBe(true);
  });

  test("is made again when nothing came through", async () => {
    const outlet = createTestOutlet();
    let failures = 1;
    outlet.behave(() => {
      if (failures-- > 0) throw new DeliveryError("unknown", "the connection was cut");
    });
    const id = await announce(start(outlet));
    await isIn(id, "unknown");
    await hurry();
    await isIn(id, "sent");
    expect([outlet.posts().length, outlet.messages.size]).toEqual([2, 1]);
  });

  test.each([
    ["after it came through", true, 1],
    ["before it came through", false, 1],
  ])(
    "because its node died %s, ends with one message",
    async (_, land, messages) => {
      const outlet = createTestOutlet();
      const stuck = Promise.withResolvers<void>();
      outlet.behave(() => stuck.promise, { land });
      const first = start(outlet);
      const id = await announce(first);
      await isIn(id, "sending");
      // Its session ends as it does when the process is killed; what it awaits is never answered.
      await sql()`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'opspilot test'`;
      const survivor = createTestOutlet();
      for (const [key, view] of outlet.messages) survivor.messages.set(key, view);
      const second = start(survivor);
      await isIn(id, "unknown");
      await hurry();
      second.wake();
      await isIn(id, "sent");
      expect(survivor.messages.size).toBe(messages);
      expect(survivor.posts()).toHaveLength(land ? 0 : 1);
      stuck.reject(new DeliveryError("unknown", "too late"));
      await first.stop();
      expect((await row(id))?.state).toBe("sent");
    },
    180_000,
  );

  test("is looked for although the same node goes on: its answer could not be written", async () => {
    await sql().unsafe(`
      create sequence writes;
      create function refuse_once() returns trigger language plpgsql as $$ begin
        if new.state = 'sent' and nextval('writes') = 1 then raise exception 'refused'; end if;
        return new;
      end $$;
      create trigger refuse_once before update on announcements for each row execute function refuse_once()`);
    try {
      const outlet = createTestOutlet();
      const id = await announce(start(outlet));
      await isIn(id, "unknown");
      await hurry();
      await isIn(id, "sent");
      expect(outlet.posts()).toHaveLength(1);
    } finally {
      await sql().unsafe("drop trigger refuse_once on announcements; drop function refuse_once; drop sequence writes");
    }
  });

  test.each([
    ["that does not edit", { edits: false }],
    ["that edits", { edits: true, canRepeat: false }],
  ])(
    "on an outlet %s, where nobody can look, is made once more, and then given up",
    async (_, options) => {
      const outlet = createTestOutlet(options);
      outlet.behave(() => {
        throw new DeliveryError("unknown", "no answer");
      });
      const id = await announce(start(outlet));
      await until(async () => {
        await hurry();
        return (await row(id))?.state === "failed";
      });
      expect(outlet.posts()).toHaveLength(2);
      expect([...(await timeline(id))].at(-1)).toMatchObject({ kind: "announcement_failed", data: { outlet: "test" } });
    },
    180_000,
  );
});

describe("an outlet that refuses", () => {
  test("for now is tried again until it takes it, in the order of the incidents", async () => {
    const outlet = createTestOutlet();
    let failures = 4;
    outlet.behave(() => {
      if (failures-- > 0) throw new DeliveryError("later", "503");
    });
    const node = start(outlet);
    const ids = [await announce(node), await announce(node)];
    await until(
      async () => {
        await hurry();
        return (await row(ids[1] ?? 0))?.state === "sent";
      },
      { ms: 20_000 },
    );
    for (const id of ids) await isIn(id, "sent");
    expect(outlet.messages.size).toBe(2);
  }, 180_000);

  test("for good is believed, and the timeline says so", async () => {
    const outlet = createTestOutlet();
    outlet.behave(() => {
      throw new DeliveryError("never", "channel_not_found");
    });
    const id = await announce(start(outlet));
    await isIn(id, "failed");
    expect(outlet.posts()).toHaveLength(1);
    expect([...(await timeline(id))]).toEqual([
      { kind: "announcement_failed", data: { outlet: "test", error: "channel_not_found", subject: "" } },
    ]);
  });

  test("and asks for quiet is left alone for that long", async () => {
    const outlet = createTestOutlet();
    outlet.behave(() => {
      if (outlet.calls.length === 1) throw new DeliveryError("later", "429", 700);
    });
    const node = start(outlet);
    const ids = [await announce(node), await announce(node)];
    for (const id of ids) await isIn(id, "sent");
    const [first, second] = outlet.calls;
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(690);
  });

  test("an edit for good goes on with the next change", async () => {
    const outlet = createTestOutlet();
    outlet.behave(({ what }) => {
      if (what === "edit" && calls(outlet, "edit").length === 1)
        throw new DeliveryError("never", "cant_update_message");
    });
    const id = await announce(start(outlet));
    await isIn(id, "sent");
    await change(
      sql()`update incidents set status = 'acknowledged', updated_at = now(), revision = revision + 1 where id = ${id}`,
    );
    await until(async () => (await row(id))?.last_error === "cant_update_message");
    await change(
      sql()`update incidents set status = 'resolved', updated_at = now(), revision = revision + 1 where id = ${id}`,
    );
    await until(async () => calls(outlet, "edit").length === 2 && (await row(id))?.last_error === null);
  });

  test("or is slow holds up no other outlet", async () => {
    const stuck = createTestOutlet({ outlet: "stuck" });
    const other = createTestOutlet({ outlet: "other" });
    const freed = Promise.withResolvers<void>();
    stuck.behave(() => freed.promise);
    const node = start(stuck, other);
    for (let n = 0; n < 3; n++) await announce(node);
    await until(() => other.messages.size === 3);
    expect(stuck.messages.size).toBe(0);
    freed.resolve();
    await until(() => stuck.messages.size === 3);
  });
});

describe("deciding that throws for one incident of 500", () => {
  test("tells of the other 499 at once, of that one later, and is seen in the metrics and in its timeline", async () => {
    const outlet = createTestOutlet();
    const registry = new Registry();
    const ids: number[] = [];
    for (let n = 0; n < 500; n++) ids.push(await addIncident(database, agent, { source: `s-${n}` }));
    const [culprit = 0] = ids.slice(250);
    let isBroken = true;
    const silenced = (id: number) => {
      if (isBroken && id === culprit) throw new Error("a fault of our own");
      return undefined;
    };
    const node = createNode(database, [outlet], { silenced, registry });
    nodes.push(node);
    node.start();
    await node.decide(ids);
    const storm = () => [...outlet.messages.values()].flatMap((view) => (view.kind === "storm" ? [view.storm] : []))[0];
    await until(() => outlet.messages.size === 21 && storm()?.total === 479, { ms: 10_000 });
    await until(async () => (await row(culprit))?.failures > 1, { ms: 20_000 });
    expect(await row(culprit)).toMatchObject({ state: "undecided", last_error: "a fault of our own" });
    expect([...(await timeline(culprit))]).toEqual([
      { kind: "announcement_failed", data: { outlet: "test", error: "a fault of our own", subject: "" } },
    ]);
    const metrics = await registry.metrics();
    expect(metrics).toMatch(/opspilot_announcements_total\{outlet="test",outcome="decide_failed"\} [1-9]/);
    expect(metrics).toContain('opspilot_announcements_waiting{outlet="test"} 1');
    isBroken = false;
    await hurry();
    await until(async () => Number((await row(culprit))?.storm_id) === storm()?.id);
    await hurry();
    await until(() => storm()?.total === 480);
    expect(outlet.posts()).toHaveLength(21);
  }, 180_000);
});

describe("a leader that lost its lead", () => {
  test("cannot have the last word: what it was editing lands late, and the outlet shows the newest state in the end", async () => {
    const messages = new Map<string, View>();
    const [old, next] = [createTestOutlet({ messages }), createTestOutlet({ messages })];
    const stuck = Promise.withResolvers<void>();
    old.behave(({ what }) => (what === "edit" ? stuck.promise : undefined));
    const id = await announce(start(old));
    await isIn(id, "sent");
    const shown = () => [...messages.values()].map((view) => view.kind === "incident" && view.incident.status);
    await change(sql()`update incidents set status = 'acknowledged', revision = revision + 1 where id = ${id}`);
    await until(() => calls(old, "edit").length === 1);
    await sql()`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'opspilot test'`;
    start(next);
    await until(async () => (await lead()) === 2);
    await change(sql()`update incidents set status = 'resolved', revision = revision + 1 where id = ${id}`);
    await until(() => shown()[0] === "resolved");
    stuck.resolve();
    await until(() => shown()[0] === "acknowledged");
    await until(async () => (await row(id))?.unknowns === 1);
    await change(sql()`
      update announcements set next_attempt_at = now(), attempted_at = attempted_at - interval '20 s'`);
    await until(() => shown()[0] === "resolved");
    await until(async () => (await row(id))?.unknowns === 0);
    const [incident] = await sql()`select revision from incidents where id = ${id}`;
    expect((await row(id))?.shown_revision).toBe(incident?.revision);
    expect([old.posts().length, next.posts().length, messages.size]).toEqual([1, 0, 1]);
  }, 180_000);

  test("writes nothing under its old number, and finds nothing to do", async () => {
    const node = createNode(database, [createTestOutlet()]);
    const id = await addIncident(database, agent);
    await node.decide([id]);
    const of = (number: number) => createOutletStore(sql(), { outlet: "test", lead: number, writer });
    const old = of(await lead());
    const due = await old.nextDue();
    const claimed = due && (await old.claim(due));
    if (claimed === undefined) throw new Error("nothing is due");
    await raiseLead(sql(), "test");
    const before = await row(id);
    const shown = { hash: "old", revision: 9 };
    await old.sent(claimed, "m1", shown, {});
    await old.later(claimed, 0, "late");
    await old.unknown(claimed, 0, "late");
    await old.failed(claimed, "late");
    expect(await old.adoptOrphans()).toBe(0);
    expect(await row(id)).toEqual(before);

    const current = of(await lead());
    await current.sent(claimed, "m1", { hash: "new", revision: 0 }, { outlet: "test" });
    const [behind] = await current.findBehind();
    if (behind === undefined) throw new Error("nothing is behind");
    const sent = await row(id);
    expect(await old.claimEdit(behind)).toBe(false);
    await old.shown(behind, shown, null, 0);
    await old.hold(behind, shown, 1_000);
    await old.editLater(behind, 1_000, "late");
    await old.doubtRecent();
    await old.addEnd(behind);
    await old.close();
    expect([await old.findBehind(), await old.nextDue(), await old.findUndecided(9)].flat()).toEqual([undefined]);
    expect(await row(id)).toEqual(sent);
    expect(await sql()`select from announcements`).toHaveLength(1);
    expect((await timeline(id)).map(({ kind }) => kind)).toEqual(["announced"]);
  });
});

test("the pace holds over posts and edits, and new messages go first", async () => {
  const outlet = createTestOutlet({ intervalMs: 150 });
  const node = start(outlet);
  const first = await announce(node);
  await isIn(first, "sent");
  await change(sql()`update incidents set status = 'acknowledged', updated_at = now(), revision = revision + 1`);
  for (let n = 0; n < 3; n++) await announce(node);
  await until(() => calls(outlet, "edit").length === 1 && outlet.messages.size === 4);
  const times = outlet.calls.map((one) => one.atMs);
  for (const [at, time] of times.slice(1).entries()) expect(time - (times[at] ?? 0)).toBeGreaterThanOrEqual(145);
});

describe("several nodes", () => {
  test("announce each incident once, and the next leads when the first stops", async () => {
    const outlets = [createTestOutlet(), createTestOutlet()];
    const [one, two] = outlets.map((outlet) => start(outlet));
    if (one === undefined || two === undefined) throw new Error("two nodes");
    const ids = [await announce(one), await announce(two)];
    for (const id of ids) await isIn(id, "sent");
    const posts = () => outlets.map((outlet) => outlet.posts().length);
    expect(posts().sort()).toEqual([0, 2]);
    const leader = outlets[0]?.posts().length === 2 ? one : two;
    await leader.stop();
    await isIn(await announce(leader === one ? two : one), "sent");
    expect(posts().sort()).toEqual([1, 2]);
  });

  test("change the lead when the leader's session is cut", async () => {
    const outlets = [createTestOutlet(), createTestOutlet()];
    const [one] = outlets.map((outlet) => start(outlet));
    if (one === undefined) throw new Error("a node");
    await isIn(await announce(one), "sent");
    await sql()`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'opspilot test'`;
    await isIn(await announce(one), "sent");
    expect(outlets.reduce((sum, outlet) => sum + outlet.posts().length, 0)).toBe(2);
  });
});

test("a stop waits for the message that is being posted", async () => {
  const outlet = createTestOutlet();
  const answer = Promise.withResolvers<void>();
  outlet.behave(() => answer.promise);
  const node = start(outlet);
  const id = await announce(node);
  await isIn(id, "sending");
  const stopped = node.stop();
  answer.resolve();
  await stopped;
  expect((await row(id))?.state).toBe("sent");
});

test("a cause's message names its open consequences", async () => {
  const outlet = createTestOutlet();
  const node = start(outlet);
  const cause = await announce(node, { category: "disk_full" });
  await isIn(cause, "sent");
  const id = await announce(node, { category: "crash" });
  await until(() => calls(outlet, "edit").length === 1);
  expect(shownBy(calls(outlet, "edit")[0]).consequences.map((one) => one.id)).toEqual([id]);
  await change(sql().begin((tx) => writer.setStatus(tx, [{ incidentId: id, status: "resolved", actor: "system" }])));
  await node.sweep();
  await until(() => calls(outlet, "edit").length === 2);
  expect(shownBy(calls(outlet, "edit")[1]).consequencesTotal).toBe(0);
  expect(outlet.posts()).toHaveLength(1);
});

describe("replies", () => {
  test("stand beneath the incident's message, once for each subject, and not before it", async () => {
    const outlet = createTestOutlet();
    const node = createNode(database, [outlet, createTestOutlet({ outlet: "no-threads", edits: false })]);
    nodes.push(node);
    const id = await announce(node);
    for (const text of ["the logs", "again"]) await node.reply(sql(), id, "logs:1", { text, file: null });
    await node.reply(sql(), id, "logs:2", { text: "more logs", file: { name: "nginx.log", content: "…" } });
    node.start();
    await until(async () => calls(outlet, "reply").length === 2);
    const { external_id: message } = (await row(id)) ?? {};
    expect(calls(outlet, "reply").map((one) => [one.externalId, one.text])).toEqual([
      [message, "the logs"],
      [message, "more logs"],
    ]);
    expect(outlet.calls[0]?.what).toBe("post");
  });

  test("that are kept are one reply, edited to what was said last", async () => {
    const outlet = createTestOutlet();
    const node = createNode(database, [outlet, createTestOutlet({ outlet: "no-threads", edits: false })]);
    nodes.push(node);
    const id = await announce(node);
    const say = (text: string) => change(node.keepReply(sql(), id, "investigation 1", { text, file: null }));
    await say("it begins");
    await say("it goes on");
    node.start();
    await until(() => calls(outlet, "reply").length === 1);
    const isSaid = async () =>
      (await sql()`select from announcements where incident_id = ${id} and kind = 'reply' and state = 'sent'`)
        .length === 1;
    await until(isSaid);
    await say("it ends");
    await until(() => calls(outlet, "edit_reply").length === 1);
    await say("it ends");
    await node.reply(sql(), id, "logs:1", { text: "the logs", file: null });
    node.wake();
    await until(() => calls(outlet, "reply").length === 2);
    const { external_id: message } = (await row(id)) ?? {};
    const told = outlet.calls.filter(({ what }) => what.endsWith("reply"));
    expect(told.map(({ what, text }) => [what, text])).toEqual([
      ["reply", "it goes on"],
      ["edit_reply", "it ends"],
      ["reply", "the logs"],
    ]);
    expect(told[1]?.externalId).toStartWith(`${message}/`);
  });

  test("that are kept show what was said while they were being posted", async () => {
    const outlet = createTestOutlet();
    const node = start(outlet);
    const id = await announce(node);
    await isIn(id, "sent");
    const say = (text: string) => change(node.keepReply(sql(), id, "investigation 1", { text, file: null }));
    const posting = Promise.withResolvers<void>();
    outlet.behave(() => posting.promise, { land: true });
    await say("it begins");
    await until(() => calls(outlet, "reply").length === 1);
    await say("it ends");
    outlet.behave(() => Promise.resolve());
    posting.resolve();
    await until(() => calls(outlet, "edit_reply").length === 1);
    expect(calls(outlet, "edit_reply")[0]?.text).toBe("it ends");
  });

  test("that are kept are said nowhere where people were told nothing", async () => {
    const outlet = createTestOutlet();
    const node = createNode(database, [outlet]);
    nodes.push(node);
    const id = await announce(node);
    await sql()`update announcements set state = 'withheld' where incident_id = ${id}`;
    await node.keepReply(sql(), id, "investigation 1", { text: "it begins", file: null });
    expect(await sql()`select from announcements where incident_id = ${id} and kind = 'reply'`).toHaveLength(0);
  });

  test("say that a silence ended while the problem goes on", async () => {
    const outlet = createTestOutlet();
    const node = start(outlet);
    const id = await announce(node);
    await isIn(id, "sent");
    await sql()`
      insert into events (kind, actor, incident_id, data)
      values ('silence.ended', 'system', ${id}, ${sql().json({ silence_id: 7, reason: "it came three times as often" })})`;
    for (let n = 0; n < 2; n++) await change(sql().begin((tx) => writer.touch(tx, [id])));
    await until(() => calls(outlet, "reply").length === 1);
    expect(calls(outlet, "reply")[0]?.text).toContain("it came three times as often");
  });
});

describe("where nothing can be edited", () => {
  test("the end is a message of its own, once, and nothing else is", async () => {
    const outlet = createTestOutlet({ edits: false });
    const node = start(outlet);
    const id = await announce(node);
    await isIn(id, "sent");
    await change(
      sql()`update incidents set status = 'acknowledged', occurrences = 9, updated_at = now(), revision = revision + 1 where id = ${id}`,
    );
    await node.sweep();
    await change(
      sql()`update incidents set status = 'resolved', resolved_at = now(), updated_at = now(), revision = revision + 1 where id = ${id}`,
    );
    for (let n = 0; n < 2; n++) await node.sweep();
    node.wake();
    await until(() => outlet.posts().length === 2);
    await until(async () => {
      const open = await sql()`select from announcements where state in ('waiting', 'sending')`;
      return open.length === 0;
    });
    expect(outlet.posts().map((one) => shownBy(one).status)).toEqual(["analyzed", "resolved"]);
    expect(calls(outlet, "edit")).toEqual([]);
  });
});

describe("a storm", () => {
  test("of 500 incidents is at most 25 messages, of which one shows all others and is edited to its end", async () => {
    const outlet = createTestOutlet();
    const node = start(outlet);
    const ids: number[] = [];
    for (let n = 0; n < 500; n++) ids.push(await addIncident(database, agent, { source: `s-${n}` }));
    for (let at = 0; at < 500; at += 50) await node.decide(ids.slice(at, at + 50));
    node.wake();
    await until(() => outlet.messages.size === 21, { ms: 20_000 });
    expect(outlet.posts().length).toBeLessThanOrEqual(25);
    const shown = [...outlet.messages.values()].flatMap((view) => (view.kind === "incident" ? [view.incident.id] : []));
    const storm = () => [...outlet.messages.values()].flatMap((view) => (view.kind === "storm" ? [view.storm] : []))[0];
    await until(() => storm()?.total === 480, { ms: 20_000 });
    expect(storm()).toMatchObject({
      endedAt: null,
      open: 480,
      byHost: [{ hostname: "web-01", count: 480 }],
      byCategory: [{ category: "port_conflict", count: 480 }],
    });
    expect(storm()?.held).toHaveLength(480);
    expect(storm()?.held?.[0]).toMatchObject({ hostname: "web-01", kind: "port_conflict", source: "s-20" });
    const members = await sql()`select incident_id from announcements where storm_id = ${storm()?.id ?? 0}`;
    expect([...shown, ...members.map((one) => one.incident_id)].sort((a, b) => a - b)).toEqual(ids);

    await change(
      sql()`update incidents set status = 'resolved', resolved_at = now(), updated_at = now(), revision = revision + 1`,
    );
    await sql()`update announcements set created_at = created_at - interval '61 s', decided_at = decided_at - interval '61 s'`;
    await node.sweep();
    await change(sql()`update announcements set next_attempt_at = now()`);
    await until(() => storm()?.endedAt !== null && storm()?.open === 0, { ms: 20_000 });
    expect(outlet.posts().map((one) => subjectOf(one.view ?? { kind: "storm", storm: storm() as never })).length).toBe(
      21,
    );
  }, 180_000);
});
