import { describe, expect, test } from "bun:test";
import { LOG_PRESETS } from "../../src/config/log-presets.ts";
import { type LogRule, parseLogRules } from "../../src/config/log-rules.ts";

function rulesIn(text: string): LogRule[] {
  const parsed = parseLogRules(text);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed.rules;
}
const shapes = (text: string) =>
  rulesIn(text).map(({ kind, target, name, severity }) => [kind, target, name, severity]);

/** Whether a line is worth an alert by these rules. */
function isFound(text: string, line: string): boolean {
  return rulesIn(text).some(
    ({ patterns, except }) => patterns.some((one) => one.test(line)) && !except.some((one) => one.test(line)),
  );
}

describe("log rules", () => {
  test("are read from one line or from many", () => {
    const expected: ReturnType<typeof shapes> = [
      ["unit", "nginx", "nginx", "warning"],
      ["file", "/var/log/app/*.log", "/timed? out; after \\d+ s/i", "critical"],
      ["container", "web-?", "python", "warning"],
      ["container", "web-?", "java", "critical"],
    ];
    expect(
      shapes(
        "unit:nginx nginx; file:/var/log/app/*.log /timed? out; after \\d+ s/i critical; container:web-? python, java",
      ),
    ).toEqual(expected);
    const lines = `# ours
      unit:nginx nginx
      file:/var/log/app/*.log /timed? out; after \\d+ s/i critical

      container:web-? python java
    `;
    expect(shapes(lines)).toEqual(expected);
  });

  test("take a severity for all that stands beside it", () => {
    expect(shapes("unit:* crash errors info").map((one) => one[3])).toEqual(["info", "info"]);
    expect(shapes("unit:a /x/")[0]?.[3]).toBe("warning");
  });

  test("hold slashes in a pattern with a backslash before them", () => {
    expect(isFound("file:/a /GET \\/api\\/v1/", "GET /api/v1 failed")).toBe(true);
  });

  test.each([
    ["nginx /x/", '"nginx": expected unit:…, container:…, file:… first'],
    ["unit:nginx", '"unit:nginx": expected a pattern such as /error/i, or one of nginx, apache'],
    ["unit:nginx nginks", '"unit:nginx": "nginks" is neither a pattern between slashes nor one of nginx, apache'],
    ["unit:nginx constructor", '"constructor" is neither a pattern'],
    ["unit:a;b /x/", '"unit:a": expected a pattern'],
    ["unit:$(reboot) /x/", '"unit:$(reboot)": expected a name or a pattern'],
    ["file:app.log /x/", '"file:app.log": expected an absolute path'],
    ["unit:a /(x/", '"unit:a": "/(x/": a ( has no )'],
    ["unit:a /(x)\\1/", "back-references are not supported"],
    ["unit:a /x/g", '"/x/g": the only flag is i'],
    [Array.from({ length: 201 }, (_, at) => `unit:u${at} crash`).join(";"), "more than 200 rules"],
  ])("are refused: %s", (text, fault) => {
    const parsed = parseLogRules(text);
    expect("fault" in parsed && parsed.fault).toContain(fault);
  });
});

describe("a preset", () => {
  test.each([
    ["nginx", '10.0.0.1 - - [24/Nov/2026:21:45:29 +0000] "GET /api HTTP/1.1" 502 157 "-" "curl/8"'],
    [
      "nginx",
      "2026/11/24 21:45:29 [error] 17#17: *1 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 10.0.0.1",
    ],
    [
      "nginx",
      "2026/11/24 21:45:29 [error] 17#17: *1 connect() failed (111: Connection refused) while connecting to upstream",
    ],
    ["nginx", "2026/11/24 21:45:29 [alert] 1#1: worker process 23 exited on signal 11"],
    ["nginx", "2026/11/24 21:45:29 [emerg] 1#1: bind() to 0.0.0.0:80 failed (98: Address already in use)"],
    [
      "apache",
      "[Tue Nov 24 21:45:29.1 2026] [mpm_prefork:error] [pid 1] AH00161: server reached MaxRequestWorkers setting",
    ],
    ["java", "java.lang.OutOfMemoryError: Java heap space"],
    ["java", 'Exception in thread "main" java.lang.IllegalStateException: no'],
    ["postgres", '2026-11-24 21:45:29.123 UTC [17] FATAL:  could not open file "base/1": No such file or directory'],
    [
      "postgres",
      '2026-11-24 21:45:29.123 UTC [17] PANIC:  could not write to file "pg_wal/xlogtemp.17": No space left on device',
    ],
    ["postgres", "LOG:  server process (PID 4711) was terminated by signal 9: Killed"],
    ["mysql", "2026-11-24T21:45:29.123456Z 0 [ERROR] [MY-012592] [InnoDB] Operating system error number 2"],
    ["redis", "1:M 24 Nov 2026 21:45:29.123 # Can't save in background: fork: Cannot allocate memory"],
    ["python", "Traceback (most recent call last):"],
    ["node", "Uncaught Exception: Error: boom"],
    ["node", "TypeError: Cannot read properties of undefined (reading 'id')"],
    ["node", "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"],
    ["php", "PHP Fatal error:  Uncaught Error: Call to undefined function x()"],
    ["php", "[24-Nov-2026] WARNING: [pool www] server reached pm.max_children setting (5), consider raising it"],
    ["crash", "panic: runtime error: invalid memory address or nil pointer dereference"],
    ["crash", "2026/11/24 21:45:29 http: panic: boom"],
    ["crash", "thread 'main' panicked at src/main.rs:2:5:"],
    ["crash", "/entrypoint.sh: line 3: 17 Segmentation fault (core dumped) ./app"],
    ["crash", "cp: error writing 'x': No space left on device"],
    ["errors", "2026-11-24 21:45:29,123 ERROR [main] something broke"],
    ["errors", "[ERROR] something broke"],
    ["errors", '{"level":"error","msg":"something broke"}'],
    ["errors", "time=2026-11-24T21:45:29Z level=fatal msg=gone"],
  ])("%s finds %s", (preset, line) => {
    expect(isFound(`unit:a ${preset}`, line)).toBe(true);
  });

  test.each([
    ["nginx", '10.0.0.1 - - [24/Nov/2026:21:45:29 +0000] "GET /502 HTTP/1.1" 200 500 "-" "curl/8"'],
    [
      "nginx",
      "2026/11/24 21:45:29 [crit] 1#1: *1 SSL_do_handshake() failed (SSL: error:0A00006C) while SSL handshaking",
    ],
    ["java", "java -XX:+HeapDumpOnOutOfMemoryError -jar app.jar"],
    ["postgres", "FATAL:  the database system is starting up"],
    ["postgres", 'FATAL:  password authentication failed for user "x"'],
    ["postgres", "LOG:  checkpoint complete: wrote 3 buffers"],
    ["python", "INFO no traceback here"],
    ["node", "Error handling is fine"],
    ["crash", "no panic, all is well"],
    ["errors", "0 ERRORS found"],
    ["errors", '{"level":"info","error":null}'],
    ["errors", "INFO finished without error"],
  ])("%s leaves %s alone", (preset, line) => {
    expect(isFound(`unit:a ${preset}`, line)).toBe(false);
  });

  test("can be compiled, each of them", () => {
    for (const name of Object.keys(LOG_PRESETS)) expect(rulesIn(`unit:a ${name}`)).toHaveLength(1);
  });
});
