import { expect, test } from "bun:test";
import { createAccess } from "../../src/access/service.ts";
import type { AccessStore, Use } from "../../src/access/store.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { createTestClock, type TestClock } from "../support/clock.ts";
import { quiet } from "../support/log.ts";
import { until } from "../support/until.ts";

function setUp() {
  const clock = createTestClock();
  const writes: Use[][] = [];
  let isAway = false;
  const store = {
    async writeUses(uses: readonly Use[]) {
      if (isAway) throw new Error("the database is away");
      writes.push([...uses]);
    },
  } as unknown as AccessStore;
  const access = createAccess({ store, loops: createLoops(clock, quiet), clock });
  const away = (is: boolean) => {
    isAway = is;
  };
  return { access, clock, writes, away };
}

async function advanceUntil(clock: TestClock, condition: () => boolean): Promise<void> {
  await until(async () => {
    if (!condition()) await clock.advance(1_000);
    return condition();
  });
}

test("many uses are one write, and what came after it waits for the next", async () => {
  const { access, clock, writes } = setUp();
  access.start();
  for (let n = 0; n < 100; n++) access.used("a", "10.0.0.1");
  access.used("b", "10.0.0.2");
  await advanceUntil(clock, () => writes.length === 1);
  expect(writes[0]?.map(({ tokenId, address }) => [tokenId, address])).toEqual([
    ["a", "10.0.0.1"],
    ["b", "10.0.0.2"],
  ]);
  for (let n = 0; n < 100; n++) access.used("a", `10.0.1.${n}`);
  await clock.advance(1_000);
  expect(writes).toHaveLength(1);
  await advanceUntil(clock, () => writes.length === 2);
  expect(writes[1]).toMatchObject([{ tokenId: "a", address: "10.0.1.99" }]);
  await access.stop();
  expect(writes).toHaveLength(2);
});

test("what could not be written is written at the next turn, or at the stop", async () => {
  const { access, writes, away } = setUp();
  away(true);
  access.used("a", "10.0.0.1");
  await expect(access.stop()).rejects.toThrow("away");
  away(false);
  await access.stop();
  expect(writes).toMatchObject([[{ tokenId: "a" }]]);
});
