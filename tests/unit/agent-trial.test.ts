import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnectionStatus, readConnectionStatus } from "../../src/agent/state-dir.ts";
import { trialFailed } from "../../src/agent/update/on-trial.ts";
import { createTestClock } from "../support/clock.ts";
import { quiet } from "../support/log.ts";

const TRIAL = { id: "a-trial", from: "0.1.0", to: "0.2.0" };

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-trial-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("a new version on trial", () => {
  test("ends by itself when no server has welcomed it in time, and else never", async () => {
    const clock = createTestClock();
    const ended: string[] = [];
    const watch = (name: string, trial: typeof TRIAL | undefined, welcomed: AbortSignal) =>
      void trialFailed(trial, welcomed, clock).then(({ message }) => ended.push(`${name}: ${message}`));
    const welcomed = new AbortController();
    watch("not on trial", undefined, new AbortController().signal);
    watch("welcomed", TRIAL, welcomed.signal);
    watch("welcomed before", TRIAL, AbortSignal.abort());
    watch("deaf", TRIAL, new AbortController().signal);
    await clock.advance(60_000);
    welcomed.abort();
    expect(ended).toEqual([]);
    await clock.advance(20_000);
    expect(ended).toEqual([
      "deaf: version 0.2.0 is on trial, and has not reached the server within 75 s: 0.1.0 comes back",
    ]);
  });

  test("says beside its connection that it had a welcome, from then on, and over a restart", () => {
    const path = join(folder, "connection.json");
    const trialIn = () => readConnectionStatus(path)?.trial;
    const status = createConnectionStatus(path, createTestClock(), quiet, TRIAL.id);
    status.ended("nothing listens there");
    expect([status.wasWelcomed(), trialIn()]).toEqual([false, undefined]);
    status.connected();
    expect([status.wasWelcomed(), trialIn()]).toEqual([true, TRIAL.id]);
    status.ended("the server is shutting down");
    expect(trialIn()).toBe(TRIAL.id);
    const next = createConnectionStatus(path, createTestClock(), quiet, TRIAL.id);
    next.ended("the server cannot be reached");
    expect([next.wasWelcomed(), trialIn()]).toEqual([true, TRIAL.id]);
    const another = createConnectionStatus(path, createTestClock(), quiet, "another");
    another.ended("the server cannot be reached");
    expect([another.wasWelcomed(), trialIn()]).toEqual([false, undefined]);
  });
});
