import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createChecksCollector } from "../../src/agent/collectors/checks.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "../support/certificate.ts";
import { LEAF } from "../support/certificate-chain.ts";
import { checkOf, serveTls } from "../support/checks.ts";
import { createSettableClock } from "../support/clock.ts";
import { CollectorBench } from "../support/collectors.ts";
import { until } from "../support/until.ts";

const INTERVAL_MS = 20;
const DAY_MS = 86_400_000;

let bench: CollectorBench;
let web: Bun.Server<undefined>;
let asked: number;
let answer: () => Response | Promise<Response>;
beforeEach(() => {
  bench = new CollectorBench();
  asked = 0;
  answer = () => new Response("well");
  web = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch() {
      asked++;
      return answer();
    },
  });
});
afterEach(async () => {
  await bench.close();
  await web.stop(true);
});

const down = () => new Response("no upstream", { status: 502 });

function collectorOf(texts: readonly string[], clock?: Clock) {
  const checks = texts.map((text) => checkOf(text, { intervalMs: INTERVAL_MS }));
  return createChecksCollector(bench.deps({ settings: { checks }, ...(clock ? { clock } : {}) }));
}

/** Some more answers were taken in. */
async function asksOn(times = 4): Promise<void> {
  const before = asked;
  await until(() => asked >= before + times, { what: `${times} more requests` });
}

describe("a check", () => {
  test("that fails as often as is asked for is one alert, over when it is well as long", async () => {
    bench.start(collectorOf([`http://bob:s3cret@localhost:${web.port}/health?key=hidden for=3 name=shop`]));
    await asksOn();
    // Once is not three times.
    let left = 2;
    answer = () => (left-- > 0 ? down() : new Response("well"));
    await asksOn(6);
    expect(bench.alerts).toEqual([]);
    answer = down;
    expect(await bench.alert(0)).toMatchObject({
      type: "check",
      source: "shop",
      message: `http://localhost:${web.port}/health: HTTP 502 Bad Gateway (failed checks in a row: 3)`,
      severity: "critical",
      state: "firing",
    });
    const lines = bench.alerts[0]?.logs?.split("\n") ?? [];
    expect(lines.at(-2)).toMatch(/^\d{4}-\d\d-\d\dT[\d:]{8}Z failed: HTTP 502 Bad Gateway \(after \d+ ms\)$/);
    expect(lines.at(-1)).toBe("the answer: no upstream");
    await asksOn();
    expect(bench.alerts).toHaveLength(1);
    answer = () => new Response("well");
    expect(await bench.alert(1)).toMatchObject({ type: "check", source: "shop", state: "resolved" });
    expect(bench.alerts[1]?.message).toMatch(
      /^shop is well again: HTTP 200 OK after \d+ ms \(failed checks in a row: \d+\)$/,
    );
    expect(JSON.stringify(bench.alerts)).not.toMatch(/s3cret|hidden|bob/);
  });

  test("that takes too long is slow, which is another problem than to fail", async () => {
    const url = `http://localhost:${web.port}`;
    answer = async () => {
      await Bun.sleep(60);
      return new Response("well");
    };
    bench.start(collectorOf([`${url} slow=50ms warning`]));
    expect(await bench.alert(0)).toMatchObject({ source: `${url} (slow)`, severity: "warning", state: "firing" });
    expect(bench.alerts[0]?.message).toMatch(
      / is slow: it took \d+ ms, more than 50 ms \(failed checks in a row: 2\)$/,
    );
    answer = down;
    expect(await bench.alert(1)).toMatchObject({ source: url, severity: "warning", state: "firing" });
    answer = () => new Response("well");
    await bench.alert(3);
    expect(
      bench.alerts
        .slice(2)
        .map(({ source, state }) => `${source} ${state}`)
        .toSorted(),
    ).toEqual([`${url} (slow) resolved`, `${url} resolved`]);
  });

  test("that was told is not told again after a restart, and is taken back once nobody checks it", async () => {
    const texts = [`http://localhost:${web.port} name=first`, `http://127.0.0.1:${web.port} name=second`];
    answer = down;
    const first = bench.start(collectorOf(texts));
    await bench.alert(1);
    await first.stop();
    const second = bench.start(collectorOf(texts.slice(0, 1)));
    expect(await bench.alert(2)).toMatchObject({ source: "second", state: "resolved" });
    await asksOn();
    expect(bench.alerts).toHaveLength(3);
    answer = () => new Response("well");
    expect(await bench.alert(3)).toMatchObject({ source: "first", state: "resolved" });
    await second.stop();
    bench.start(collectorOf(texts));
    await asksOn();
    expect(bench.alerts).toHaveLength(4);
  });

  test("sees a certificate's end come, and another one take its place", async () => {
    const clock = createSettableClock();
    clock.setBack(Date.now() - (Date.parse("2060-01-01") - 10.5 * DAY_MS));
    const server = serveTls(LEAF);
    const { port } = server;
    const source = "shop (certificate)";
    const texts = [`tls://localhost:${port} insecure name=shop`];
    const first = bench.start(collectorOf(texts, clock));
    const target = `tls://localhost:${port}`;
    const weak = "the certificate of Checks Intermediate, by which the server's is signed, expires in";
    expect(await bench.alert(0)).toMatchObject({
      source,
      severity: "warning",
      message: `${target}: ${weak} 10 days, on 2060-01-01`,
    });
    await first.stop();
    clock.setBack(-8 * DAY_MS);
    bench.start(collectorOf(texts, clock));
    expect(await bench.alert(1)).toMatchObject({ source, severity: "critical", state: "firing" });
    expect(bench.alerts[1]?.message).toBe(`${target}: ${weak} 2 days, on 2060-01-01`);
    await server.stop(true);
    const tls = { cert: CERTIFICATE, key: CERTIFICATE_KEY };
    const renewed = Bun.serve({ port: port ?? 0, hostname: "127.0.0.1", tls, fetch: () => new Response("well") });
    const over = await until(() => bench.alerts.find(({ state, source: of }) => state === "resolved" && of === source));
    expect(over.message).toContain("the certificate of localhost expires in");
    await renewed.stop(true);
  });

  test("of a web server sees its certificates, too", async () => {
    const server = serveTls(LEAF);
    bench.start(collectorOf([`https://localhost:${server.port} for=1 name=shop`]));
    const { message, logs } = await bench.alert(0);
    expect(message).toStartWith(
      `https://localhost:${server.port}: the certificate of Checks Intermediate is signed by`,
    );
    expect(logs).toContain("certificate of localhost, good until 2080-01-01, signed by Checks Intermediate");
    await server.stop(true);
  });

  test("can be tried by hand", async () => {
    answer = down;
    const texts = [`http://localhost:${web.port}`, "dns:localhost"];
    const { ok, detail } = await collectorOf(texts).check();
    expect(ok).toBe(false);
    expect(detail.split("\n")[0]).toBe("1 of 2 fail");
    expect(detail).toContain(`\nhttp://localhost:${web.port}: HTTP 502 Bad Gateway after `);
    expect(await collectorOf([]).check()).toMatchObject({ ok: true, detail: "none is set (OPSPILOT_CHECKS)" });
    expect(collectorOf([]).health()).toBeUndefined();
  });
});
