import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createNotifications, type Notifications, notifyAll } from "../../src/db/notifications.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let own: TestDatabase;
beforeAll(async () => {
  own = await createTestDatabase();
});
afterAll(() => own.close());

let notifications: Notifications;
beforeEach(() => {
  notifications = createNotifications({ database: own.database, clock: createSystemClock(), log: quiet });
});
afterEach(() => notifications.close());

function recorder() {
  const messages: string[] = [];
  const seen = { messages, ready: 0 };
  const listener = { onMessage: (payload: string) => void messages.push(payload), onReady: () => void seen.ready++ };
  return { seen, listener };
}

describe("notifications", () => {
  test("reach the listener of their channel, in order", async () => {
    const [early, late] = [recorder(), recorder()];
    notifications.listen("early", early.listener);
    notifications.start();
    await until(() => early.seen.ready === 1);
    notifications.listen('late "quoted"', late.listener);
    await until(() => late.seen.ready === 1);
    for (const n of [1, 2, 3]) await notifyAll(own.database.sql, "early", `e${n}`);
    await notifyAll(own.database.sql, 'late "quoted"', "l1");
    await until(() => late.seen.messages.length === 1);
    expect(early.seen).toEqual({ ready: 1, messages: ["e1", "e2", "e3"] });
    expect(late.seen).toEqual({ ready: 1, messages: ["l1"] });
  });

  test("come with the commit, and not without it", async () => {
    const { seen, listener } = recorder();
    notifications.listen("commit", listener);
    notifications.start();
    await until(() => seen.ready === 1);
    const undone = own.database.sql.begin(async (tx) => {
      await notifyAll(tx, "commit", "never");
      throw new Error("undone");
    });
    await expect(undone).rejects.toThrow("undone");
    await own.database.sql.begin((tx) => notifyAll(tx, "commit", "once"));
    await until(() => seen.messages.length > 0);
    expect(seen.messages).toEqual(["once"]);
  });

  test("come again after the connection was lost, and say so", async () => {
    const { seen, listener } = recorder();
    notifications.listen("lost", listener);
    notifications.start();
    for (let round = 1; round <= 3; round++) {
      await until(() => seen.ready === round);
      await own.database.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'opspilot listen' and datname = current_database()`;
    }
    await until(() => seen.ready === 4);
    await notifyAll(own.database.sql, "lost", "found");
    await until(() => seen.messages.length === 1);
  });

  test("outlive a listener that throws", async () => {
    const messages: string[] = [];
    notifications.listen("throws", {
      onMessage(payload) {
        messages.push(payload);
        throw new Error("from the listener");
      },
      onReady() {
        messages.push("ready");
        throw new Error("from the listener");
      },
    });
    notifications.start();
    await until(() => messages.length === 1);
    for (const payload of ["a", "b"]) await notifyAll(own.database.sql, "throws", payload);
    await until(() => messages.length === 3);
    expect(messages).toEqual(["ready", "a", "b"]);
  });

  test("end at once, also when they never began", async () => {
    const { listener } = recorder();
    const never = createNotifications({ database: own.database, clock: createSystemClock(), log: quiet });
    never.listen("end", listener);
    await never.close();
    notifications.listen("end", listener);
    notifications.start();
    await notifications.close();
    await notifications.close();
  });
});
