import { expect, test } from "bun:test";
import { createDelivery } from "../../src/agent/delivery.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { quiet } from "../support/log.ts";
import { spoolFrame, spoolIn, withDirectory } from "../support/spool.ts";

test("a frame is told as settled while the disk still has it, so that a kill between the two forgets neither", async () => {
  await withDirectory(async (dir) => {
    const spool = spoolIn(dir);
    const waiting: number[] = [];
    const settled = () => void waiting.push(spool.status().waiting);
    const delivery = createDelivery({ spool, clock: createSystemClock(), log: quiet, settled });
    await spool.add(spoolFrame("a"));
    delivery.begin(() => undefined);
    delivery.acknowledged("a");
    expect(waiting).toEqual([1]);
    expect(spool.status().waiting).toBe(0);
    await spool.close();
  });
});
