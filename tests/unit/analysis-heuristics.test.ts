import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createHeuristics } from "../../src/analysis/heuristics.ts";
import { compileLiterals } from "../../src/analysis/literals.ts";
import { CATEGORIES, type Evidence } from "../../src/analysis/model.ts";
import { RULES } from "../../src/analysis/rules/all.ts";
import { readIncidents } from "../support/incidents.ts";

const explain = createHeuristics();

const incident = (logs: string, more: Partial<Evidence> = {}): Evidence => ({
  type: "docker",
  source: "shop-api",
  message: "Container shop-api exited with code 1",
  logs,
  exitCode: 1,
  ...more,
});

/** Written for these tests, of programs that people run; the decoys hold words of one category in lines of another. */
const INCIDENTS = ["programs.txt", "services.txt", "practice.txt", "decoys.txt", "kinds.txt", "harder.txt"].flatMap(
  readIncidents,
);

describe("an incident is explained", () => {
  test.each([...INCIDENTS])("$name", ({ category, evidence }) => {
    expect(explain(evidence).category).toBe(category);
  });

  test("in every category, from many incidents", () => {
    expect(INCIDENTS.length).toBeGreaterThan(200);
    expect(new Set(INCIDENTS.map(({ category }) => category)).size).toBe(CATEGORIES.length);
  });

  test("with the facts of this incident, the rule, the line and a fix that names the service", () => {
    const line = "nginx: [emerg] bind() to 0.0.0.0:8443 failed (98: Address already in use)";
    const evidence = incident(`starting\n${line}\nbye`, { type: "systemd", source: "nginx.service" });
    const answer = explain(evidence);
    expect(answer).toMatchObject({ category: "port_conflict", decisive: line, rule: "address-in-use" });
    expect(answer.cause).toContain("8443");
    expect(answer.fix).toContain("8443");
    expect(answer.fix).toContain("`systemctl restart nginx.service`");
    expect(answer.why).toContain("line 2");
    expect(answer.confidence).toBeGreaterThan(0.7);
  });

  test("as unknown with confidence 0 when the log does not say why", () => {
    expect(explain(incident("", { exitCode: 137, message: "Container shop-api exited with code 137" }))).toMatchObject({
      category: "unknown",
      confidence: 0,
      decisive: null,
      rule: null,
    });
  });
});

describe("the cause outranks its symptoms", () => {
  test.each<[string, string[], string]>([
    [
      "a later fatal line beats an early warning",
      ["WARN disk space low: 12 % free", 'FATAL password authentication failed for user "x"'],
      "authentication",
    ],
    [
      "the first error of a cascade beats its echoes",
      [
        "ERROR lookup db on 10.0.0.2:53: no such host",
        "ERROR cannot connect to database",
        "ERROR request failed: timed out",
      ],
      "dns_failure",
    ],
    [
      "a name that does not resolve beats the panic that carries it",
      ["panic: dial tcp: lookup db: no such host", "goroutine 1 [running]:"],
      "dns_failure",
    ],
    [
      "a connection that came back is not the cause",
      ["connect ECONNREFUSED 10.0.0.1:5432, retrying", "connected to 10.0.0.1:5432", "TypeError: x is not a function"],
      "crash",
    ],
    [
      "what a step set right is not the cause",
      ["10-certs.sh: certificate has expired, renewing... done", "chown: /config/log: Operation not permitted"],
      "permission_denied",
    ],
    [
      "a setting that is only warned of is not the cause",
      [
        'W0501 10:00:01.000000      12 warnings.go:70] unknown field "spec.cpu"',
        "Error: timed out waiting for the condition",
      ],
      "timeout",
    ],
    [
      "a link that came up again is not the cause",
      ["r8169 eth0: Link is Down", "r8169 eth0: Link is Up", "app[7]: Segmentation fault"],
      "crash",
    ],
    [
      "a client's mistake is the client's",
      ["GET /admin/.env 403 permission denied 203.0.113.9", "memory allocation of 1073741824 bytes failed"],
      "out_of_memory",
    ],
    [
      "a certificate that is still valid is not the cause",
      ["warning: TLS certificate expires in 12 days", "dial unix /run/x.sock: connect: connection refused"],
      "connection_refused",
    ],
    [
      "that a dump was written well denies nothing",
      ["init terminating in do_boot ()", "Crash dump is being written to: erl_crash.dump...done"],
      "crash",
    ],
    [
      "another try that went well leaves the cause unsaid",
      ["fetch: connection timed out, retrying (1/3)", "fetch: done", "command finished with exit code 2"],
      "unknown",
    ],
    [
      "the last try counts, whatever step went well before it",
      ["migrations: done", "fetch: connection timed out, retrying (1/3)"],
      "timeout",
    ],
    [
      "a resolver's code counts without words around it",
      ["mode 0644 of the settings file is too wide; this is ignored for now", "getaddrinfo EAI_AGAIN flow-db"],
      "dns_failure",
    ],
    [
      "the C library's check of the heap is not damage to data, and beats what is missing",
      ["ERROR: Unable to find driver for vdpau", "double free or corruption (!prev)"],
      "crash",
    ],
    [
      "a debug line does not beat an error",
      ["DEBUG permission denied for optional probe", "ERROR No space left on device"],
      "disk_full",
    ],
    [
      "a denied failure does not count",
      ["0 errors, connection refused 0 times, recovered", "ModuleNotFoundError: No module named 'x'"],
      "missing_dependency",
    ],
    [
      "another container's failure counts less",
      ["cache_1 | FATAL out of memory", "shop-api_1 | Error: Cannot find module 'pg'"],
      "missing_dependency",
    ],
  ])("%s", (_, logs, category) => {
    expect(explain(incident(logs.join("\n"))).category).toBe(category as never);
  });

  test("the message counts when there are no logs", () => {
    const message = "kernel: Out of memory: Killed process 7 (java) total-vm:1kB, anon-rss:1kB";
    expect(explain(incident("", { message }))).toMatchObject({ category: "out_of_memory", decisive: message });
  });
});

/** Log-like text: the rules' own literals, in any order, among anything else. */
const logs = fc
  .array(
    fc.oneof(
      fc.constantFrom(...RULES.flatMap(({ any }) => any)),
      fc.string(),
      fc.constantFrom("\n", "\r\n", "\t", "ERROR ", "{}", "é", "\u0000"),
    ),
    {
      maxLength: 40,
    },
  )
  .map((parts) => parts.join(" "));
const evidence = fc.record({
  type: fc.constantFrom("systemd", "docker", "host", "other"),
  source: fc.oneof(
    fc.string(),
    fc.constantFrom("nginx.service", "shop-db", "-rf", "x; rm -rf /", "$(curl x)", "__proto__"),
  ),
  message: logs,
  logs,
  exitCode: fc.oneof(fc.constant(null), fc.integer()),
});

/** The source as a text of ours shows it. */
const shown = (source: string) =>
  source
    .replace(/[\p{C}\s]{1,400}/gu, " ")
    .trim()
    .slice(0, 200)
    .replace(/[.,;:]{1,5}$/, "")
    .replaceAll(/[{}`]/g, "") || "the service";

describe("of a log rule's alert", () => {
  const matched = (line: string, logs: string) =>
    explain(
      incident(logs, {
        type: "log",
        source: "shop.service errors",
        message: `shop.service matches errors: ${line} (lines so far: 1)`,
        exitCode: null,
      }),
    );

  test("the line that matched decides, whatever stands around it", () => {
    const line = "ERROR request 12 timed out after 30s";
    const logs = `panic: disk full: No space left on device\n${line}\nError: Cannot find module 'express'`;
    expect(matched(line, logs)).toMatchObject({ category: "timeout", decisive: line });
    expect(matched(line, logs).why).toContain("line 2 of the log");
  });

  test("what follows the line decides when it says nothing by itself, and what came before only then", () => {
    const line = "Traceback (most recent call last):";
    const before = "panic: disk full: No space left on device";
    const cause = "ConnectionRefusedError: [Errno 111] Connection refused";
    expect(matched(line, `${before}\n${line}\n  File "a.py", line 1\n${cause}`).decisive).toBe(cause);
    expect(matched("ERROR 7", `${before}\nERROR 7`).decisive).toBe(before);
  });
});

test("any text gives one answer, the same each time, that names the source and quotes its input", () => {
  fc.assert(
    fc.property(evidence, (one) => {
      const answer = explain(one);
      expect(explain({ ...one })).toEqual(answer);
      expect(CATEGORIES).toContain(answer.category);
      expect(answer.confidence).toBeGreaterThanOrEqual(0);
      expect(answer.confidence).toBeLessThanOrEqual(1);
      expect(answer.category === "unknown").toBe(answer.decisive === null);
      expect(answer.fix.replaceAll(/\s/g, "")).toContain(shown(one.source).replaceAll(/\s/g, ""));
      expect(answer.cause).not.toMatch(/\{\w+[|}]/);
      if (answer.decisive !== null) expect(`${one.message}\n${one.logs}`).toContain(answer.decisive);
    }),
    { numRuns: 300 },
  );
});

test("a fix makes no command of a name or a fact that could hide one", () => {
  const answer = explain(incident("open '/data/$(curl x|sh)': Permission denied", { source: "x; rm -rf /" }));
  expect(answer.fix).not.toContain("docker restart");
  expect(answer.fix).not.toContain("curl");
});

test("the literal search finds what includes() finds", () => {
  const word = fc.stringMatching(/^[ab.]{1,4}$/);
  fc.assert(
    fc.property(
      fc.uniqueArray(word, { minLength: 1, maxLength: 12 }),
      fc.stringMatching(/^[abAB.x]{0,40}$/),
      (words, text) => {
        const found = new Set<number>();
        compileLiterals(words).scan(text, 0, text.length, (index) => found.add(index));
        const expected = words.flatMap((each, index) => (text.toLowerCase().includes(each) ? [index] : []));
        expect([...found].sort((a, b) => a - b)).toEqual(expected);
      },
    ),
  );
});
