import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { answerOf, guardOf, recordedHostOf } from "../bench/recorded-host.ts";
import {
  type Behaviour,
  type FakeOpenRouter,
  GOOD_ANSWER,
  says,
  startFakeOpenRouter,
  wants,
} from "../support/fake-openrouter.ts";

const TOP = join(import.meta.dir, "../..");
const HOSTS = join(TOP, "tests/fixtures/investigation/hosts.jsonl");

let model: FakeOpenRouter;
beforeAll(() => {
  model = startFakeOpenRouter();
});
afterAll(() => model.stop());

async function evaluate(...words: string[]): Promise<string> {
  const child = Bun.spawn([process.execPath, "tests/bench/eval.ts", HOSTS, ...words], {
    cwd: TOP,
    env: { PATH: "/usr/bin:/bin", OPENROUTER_BASE_URL: model.baseUrl, AI_MODEL: "stand-in" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const [text] = await Promise.all([child.stdout.text(), child.exited]);
  return text;
}

/** Looks at the unit or container of the alert once, and names the cause by what it reads there. */
const looksOnce: Behaviour = (request, signal) => {
  const { messages, tools } = request.body;
  const [, source = ""] = /^source: (\S+)/m.exec(messages[1].content) ?? [];
  const isDocker = /^type: docker/m.test(messages[1].content);
  const tool = isDocker
    ? { name: "container_inspect", arguments: { container: source } }
    : { name: "get_logs", arguments: { unit: source } };
  if (tools && messages.length === 2) return wants(tool)(request, signal);
  const read = String(messages[3]?.content ?? "");
  const category = /Permission denied/.test(read)
    ? "permission_denied"
    : /unknown keyword/.test(read)
      ? "config_error"
      : /out_of_memory": true/.test(read)
        ? "out_of_memory"
        : "unknown";
  return says(JSON.stringify({ ...GOOD_ANSWER, category, evidence: [] }))(request, signal);
};

test("eval --model --investigate measures looking beside the heuristics and the single question", async () => {
  model.behave(looksOnce);
  const text = await evaluate("--model", "--investigate");
  expect(text).toMatch(/^heuristics: \d of 8 right/m);
  expect(text).toMatch(
    /^stand-in, the single question: 0 of 8 right: 0\.0 %\n {2}calls 0\.0, tokens 1380 an incident/m,
  );
  expect(text).toMatch(
    /^stand-in, looking for itself: 3 of 8 right: 37\.5 %\n {2}calls 1\.0, tokens 2760 an incident/m,
  );
  expect(text).toMatch(/cost 0\.0020 USD in all\n {2}latency \d+ ms in the middle, \d+ ms for 95 %; failed: none/);
}, 180_000);

test("without --investigate nothing is looked at", async () => {
  model.seen.length = 0;
  model.behave(says(JSON.stringify({ ...GOOD_ANSWER, category: "unknown" })));
  expect(await evaluate("--model")).not.toContain("looking");
  expect(model.seen.some(({ body }) => body.tools)).toBe(false);
}, 180_000);

test("a recorded host answers by tool and the arguments that were recorded, behind the server's own guard", () => {
  const host = recordedHostOf({
    answers: [
      { tool: "get_logs", arguments: { unit: "db" }, output: "of the database" },
      { tool: "get_logs", output: "of any other" },
    ],
  });
  expect(answerOf(host, "get_logs", { unit: "db.service", lines: 5 }).text).toBe("of the database");
  expect(answerOf(host, "get_logs", { unit: "app" }).text).toBe("of any other");
  expect(answerOf(host, "host_report", {}).text).toBe("");
  const guard = guardOf(host, { type: "systemd", source: "app", message: "", logs: "", exitCode: null });
  expect(guard.check("get_logs", { unit: "db" })).toMatchObject({ refusal: expect.stringContaining("named no unit") });
  expect(() => recordedHostOf({ answers: "all" })).toThrow();
});
