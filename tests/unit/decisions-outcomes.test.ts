import { describe, expect, test } from "bun:test";
import type { Command } from "../../src/commands/model.ts";
import { isAnswered, outcomeByAlerts, outcomeByCheck, unitStateOf } from "../../src/decisions/outcomes.ts";
import type { Watched } from "../../src/decisions/store.ts";
import { commandOf, uuid } from "../support/fake-services.ts";

/** A restart that was carried out 5 s ago, 6 s after its command was sent. */
function watched(changes: Partial<Watched> = {}): Watched {
  return {
    id: uuid(1),
    incidentId: 1,
    action: "restart",
    variant: null,
    actor: "slack:U1",
    actorName: "@ana",
    state: "verifying",
    outcome: "restarted by @ana, waiting for a sign that it works",
    sends: 1,
    checks: 0,
    failures: 0,
    commandId: uuid(2),
    ended: false,
    agentId: uuid(3),
    type: "systemd",
    source: "nginx",
    host: "web-1",
    incidentStatus: "analyzed",
    ageS: 7,
    elapsedS: 5,
    command: { status: "done", isSent: true, isLate: false, output: null, error: null, exitCode: 0, sentAgoS: 6 },
    failedAfterS: null,
    recoveredAfterS: null,
    ...changes,
  };
}

const unit = (activeState: string, subState = "x", forS: number | null = 2) => ({ activeState, subState, forS });

describe("the outcome by alerts", () => {
  test.each([
    [{}, undefined],
    [{ failedAfterS: 12.4 }, "restarted, failed again after 12 s"],
    [{ failedAfterS: 0.2 }, "restarted, failed again after 1 s"],
    [{ recoveredAfterS: 4 }, "restarted by @ana, active again after 4 s"],
    [{ failedAfterS: 20, recoveredAfterS: 4 }, "restarted, failed again after 20 s"],
    [{ failedAfterS: 12, state: "sent" as const }, undefined],
  ])("of %j is %j", (changes, outcome) => {
    expect(outcomeByAlerts(watched(changes))?.words ?? undefined).toBe(outcome);
  });
});

describe("a check", () => {
  test.each([
    [5, unit("active", "running"), "verifying", "restarted by @ana, active again after 4 s", 15],
    [5, unit("reloading", "reload"), "verifying", "restarted by @ana, active again after 4 s", 15],
    [15, unit("activating", "start"), "verifying", "restarted by @ana, still starting (activating/start)", 60],
    [
      5,
      unit("activating", "auto-restart"),
      "failed_again",
      "restarted, failed again after 5 s (activating/auto-restart)",
      null,
    ],
    [15, unit("failed", "failed"), "failed_again", "restarted, failed again after 15 s (failed/failed)", null],
    [15, unit("inactive", "dead"), "failed_again", "restarted, failed again after 15 s (inactive/dead)", null],
    [60, unit("activating", "start"), "failed_again", "restarted, not active after 60 s (activating/start)", null],
    [60, unit("active", "running", 58), "verified", "restarted by @ana, active again after 3 s", null],
    [5, undefined, "verifying", "restarted by @ana, waiting for a sign that it works", 15],
    [13.5, undefined, "verifying", "restarted by @ana, waiting for a sign that it works", 15],
    [15, undefined, "verifying", "restarted by @ana, waiting for a sign that it works", 60],
    [60, undefined, "no_word", "no word from the host within 60 s", null],
    [4_000, undefined, "no_word", "no word from the host within 60 s", null],
  ])("after %d s that finds %j leaves it %s", (elapsedS, found, state, outcome, dueS) => {
    const command = { ...watched().command, sentAgoS: elapsedS + 1 } as Watched["command"];
    const came = outcomeByCheck(watched({ elapsedS, command }), found);
    expect({ state: came.state, outcome: came.words, dueS: came.dueS ?? null }).toEqual({
      state,
      outcome,
      dueS,
    } as never);
    expect(came.ends).toBe(dueS === null);
  });

  test("keeps what an earlier one found out", () => {
    const outcome = "restarted by @ana, active again after 4 s";
    expect(outcomeByCheck(watched({ elapsedS: 60, outcome }), unit("active", "running", 3)).words).toBe(outcome);
  });
});

describe("an answer", () => {
  const command = { status: "done", isSent: true, isLate: false, output: null, error: null, exitCode: 0, sentAgoS: 1 };
  test.each([
    [{ state: "sent", command }, true],
    [{ state: "requested", command }, true],
    [{ state: "verifying", command }, false],
    [{ state: "sent", command: { ...command, status: "sent" } }, false],
    [{ state: "sent", command: null }, false],
    [{ state: "requested", command: { ...command, status: "expired", isSent: false } }, false],
    [{ state: "no_answer", ended: true, command: { ...command, status: "expired" } }, false],
    [{ state: "no_answer", ended: true, command: { ...command, status: "expired", isLate: true } }, true],
    [{ state: "done", ended: true, command }, false],
  ])("in %j is news: %s", (changes, isNews) => {
    expect(isAnswered(watched(changes as Partial<Watched>))).toBe(isNews);
  });
});

describe("what service_status prints", () => {
  const finished = new Date(1_800_000_000_000);
  const done = (output: string | null, changes: Partial<Command> = {}) =>
    unitStateOf(commandOf(1, { status: "done", output, finished_at: finished, ...changes }));

  test.each([
    [
      '{"active_state":"active","sub_state":"running","active_since_s":12.5,"restarts":0}',
      unit("active", "running", 12.5),
    ],
    ['{"active_state":"active","sub_state":"running","active_since_s":1799999990}', unit("active", "running", 10)],
    ['{"active_state":"failed"}', unit("failed", "unknown", null)],
    ['{"active_state":"failed","sub_state":"failed","active_since_s":-1}', unit("failed", "failed", null)],
    ['{"active_state":5}', undefined],
    ["active", undefined],
    ["[]", undefined],
    ["null", undefined],
    [null, undefined],
  ])("%j is read", (output, state) => {
    expect(done(output)).toEqual(state as never);
  });

  test("counts only from a command that is done", () => {
    expect(done('{"active_state":"active"}', { status: "failed" })).toBeUndefined();
  });
});
