import { beforeAll, expect, test } from "bun:test";
import { runProcessFaults } from "../soak/process-faults.ts";
import { buildExecutable } from "../support/executable.ts";

const TEST_LIMIT_MS = 240_000;

beforeAll(buildExecutable, TEST_LIMIT_MS);

test(
  "whatever is killed, at whatever moment, what agents were told is stored, counted and announced once",
  async () => {
    const seed = Date.now() % 2 ** 32;
    const outcome = await runProcessFaults({
      seconds: 9,
      kills: 9,
      hosts: 8,
      processes: 2,
      everyMs: 50,
      sources: 1,
      seed,
    });
    const { lost, doubled, wrong } = outcome;
    expect({ seed, lost, doubled, wrong }).toEqual({ seed, lost: [], doubled: [], wrong: [] });
    expect(outcome.alertsAcknowledged).toBeGreaterThan(50);
    expect(outcome.alertsStored).toBeGreaterThanOrEqual(outcome.alertsKept);
    expect(outcome.toldAlone + outcome.toldInStorms).toBeGreaterThanOrEqual(8);
  },
  TEST_LIMIT_MS,
);
