import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openDatabase } from "../../src/db/client.ts";
import { migrate } from "../../src/db/migrate.ts";
import { createNotifications } from "../../src/db/notifications.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { quiet } from "../support/log.ts";
import { createOwnPostgres, type OwnPostgres } from "../support/own-postgres.ts";
import { until } from "../support/until.ts";

const LIMIT_MS = 60_000;

let own: OwnPostgres;
beforeAll(async () => {
  own = await createOwnPostgres();
}, LIMIT_MS);
afterAll(() => own.stop(), LIMIT_MS);

describe("when PostgreSQL is killed", () => {
  test(
    "all clients find the next one, and what was committed is there",
    async () => {
      const database = openDatabase({ target: own.target, log: quiet });
      await migrate(database, quiet);
      await database.sql`create table kept (n int primary key)`;
      const notifications = createNotifications({ database, clock: createSystemClock(), log: quiet });
      let ready = 0;
      notifications.listen("faults", { onMessage: () => undefined, onReady: () => void ready++ });
      notifications.start();

      const committed = new Set<number>();
      const writing = new AbortController();
      const write = async (lane: number) => {
        for (let n = lane; !writing.signal.aborted; n += 8) {
          const done = await database.sql
            .begin((tx) => tx`insert into kept values (${n})`)
            .then(
              () => true,
              () => false,
            );
          if (done) committed.add(n);
        }
      };
      const lanes = Array.from({ length: 8 }, (_, lane) => write(lane));
      for (let round = 1; round <= 2; round++) {
        const before = committed.size;
        await until(() => committed.size > before + 50 && ready === round, { ms: 10_000 });
        await own.kill();
      }
      await until(() => ready === 3, { ms: 10_000, what: "listening again" });
      expect(await until(() => database.ping(1_000), { ms: 10_000 })).toBe(true);
      writing.abort();
      await Promise.all(lanes);
      const rows = await database.sql<{ n: number }[]>`select n from kept`;
      const stored = new Set(rows.map(({ n }) => n));
      expect([...committed].filter((n) => !stored.has(n))).toEqual([]);
      await notifications.close();
      await database.close();
    },
    LIMIT_MS,
  );
});

describe("when PostgreSQL hangs", () => {
  test(
    "a ping says so in time, a client can be given up, and all goes on when it wakes",
    async () => {
      const database = openDatabase({ target: own.target, log: quiet });
      const client = database.createClient();
      await client`select 1`;
      expect(await database.ping(1_000)).toBe(true);
      own.freeze();
      const stuck = client`select 1`.catch((error) => error.code);
      expect(await database.ping(200)).toBe(false);
      expect(await database.ping(200)).toBe(false);
      await client.end({ timeout: 0 });
      expect(await stuck).toBe("CONNECTION_DESTROYED");
      own.thaw();
      expect(await until(() => database.ping(1_000), { ms: 10_000 })).toBe(true);
      expect(await database.createClient()`select 1 as one`).toEqual([{ one: 1 }] as never);
      await database.close();
    },
    LIMIT_MS,
  );
});
