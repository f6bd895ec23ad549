/** `bun run bench:page`: what the page costs with ten thousand open incidents on two thousand hosts. */
import type { CDPSession, Page } from "playwright-core";
import { runAtEnd } from "../support/at-end.ts";
import { type OpenedPage, openPage } from "../support/browser.ts";
import { msToPaint } from "../support/paint.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const INCIDENTS = 10_000;
const HOSTS = 2_000;
const RUNS = 10;
const EVENTS = 50_000;
const LIVE_ROWS = 20;
const PRESSES = 20;
const HUNDRED = 100;
/** The server's, to a press. */
const ANSWER_MS = 300;
/** A telephone of some years ago on a slow network. */
const SLOW = { cpu: 4, bitsPerSecond: 1_600_000, latencyMs: 100 } as const;

interface Load {
  paintedMs: number;
  answers: number;
  answerBytes: number;
  elements: number;
}

async function seed({ database }: TestDatabase): Promise<void> {
  await database.sql`
    insert into agents (id, token_hash, hostname, status, last_seen_at, meta)
    select md5('agent ' || n)::uuid, md5(n::text), 'host-' || n, case when n % 50 = 0 then 'offline' else 'online' end, now(),
      '{"version":"0.1.0","metrics":{"cpu_pct":12}}' from generate_series(1, ${HOSTS}::int) n`;
  await database.sql`
    insert into incidents (agent_id, type, source, raw_error, message_chars, ai_analysis, ai_solution, status, severity, fingerprint, last_seen_at, analysis)
    select md5('agent ' || (1 + n % ${HOSTS}::int))::uuid, 'systemd', 'unit-' || n, 'unit-' || n || '.service failed: exit code 1', 30,
      'unit-' || n || ' could not listen: the address or port 80 is already taken by another program.', 'Look.', 'analyzed',
      (array['critical', 'warning', 'warning', 'info'])[1 + n % 4], md5('problem ' || n)::uuid, now(),
      '{"by":"heuristic","confidence":0.9,"category":"port_conflict"}' from generate_series(1, ${INCIDENTS}::int) n`;
  await database.sql`analyze`;
}

/** Passes all on to the server but the stream, which it plays. */
function startStreamPlayer(serverUrl: string) {
  const readers = new Set<ReadableStreamDefaultController<string>>();
  const player = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      if (pathname !== "/v1/events") {
        const answer = await fetch(serverUrl + pathname + search, {
          headers: { accept: request.headers.get("accept") ?? "*/*" },
        });
        return new Response(await answer.bytes(), { status: answer.status, headers: withoutCoding(answer.headers) });
      }
      let reader: ReadableStreamDefaultController<string>;
      const stream = new ReadableStream<string>({
        start(controller) {
          reader = controller;
          readers.add(controller);
          controller.enqueue(told("hello", { version: "bench", at: new Date().toISOString(), access: "open" }));
        },
        cancel: () => void readers.delete(reader),
      });
      return new Response(stream, { headers: { "content-type": "text/event-stream" } });
    },
  });
  return {
    url: player.url.origin,
    tell(event: string, data: unknown) {
      for (const reader of readers) reader.enqueue(told(event, data));
    },
    stop: () => player.stop(true),
  };
}

const told = (event: string, data: unknown) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;

function withoutCoding(headers: Headers): Headers {
  const kept = new Headers(headers);
  for (const name of ["content-encoding", "content-length", "transfer-encoding"]) kept.delete(name);
  return kept;
}

async function opened(slow: boolean): Promise<{ opened: OpenedPage; session: CDPSession }> {
  const page = await openPage("about:blank", { viewport: { width: 360, height: 640 } });
  const session = await page.page.context().newCDPSession(page.page);
  await session.send("Network.enable");
  if (slow) {
    const bytesPerSecond = SLOW.bitsPerSecond / 8;
    await session.send("Emulation.setCPUThrottlingRate", { rate: SLOW.cpu });
    const network = {
      offline: false,
      latency: SLOW.latencyMs,
      downloadThroughput: bytesPerSecond,
      uploadThroughput: bytesPerSecond,
    };
    await session.send("Network.emulateNetworkConditions", network);
  }
  return { opened: page, session };
}

/** Loads the page in a browser that knows nothing of it. */
async function load(url: string, slow: boolean): Promise<Load> {
  const { opened: page, session } = await opened(slow);
  await using _ = page;
  const asked = new Map<string, string>();
  let answerBytes = 0;
  let answers = 0;
  session.on("Network.requestWillBeSent", ({ requestId, request }) => void asked.set(requestId, request.url));
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (!asked.get(requestId)?.includes("/v1/")) return;
    answers++;
    answerBytes += encodedDataLength;
  });
  await page.page.addInitScript(() => {
    const known = globalThis as unknown as { paintedMs?: number };
    new MutationObserver(() => {
      if (known.paintedMs !== undefined || document.querySelector("a.row") === null) return;
      known.paintedMs = -1;
      requestAnimationFrame(() =>
        setTimeout(() => {
          known.paintedMs = performance.now();
        }),
      );
    }).observe(document, { childList: true, subtree: true });
  });
  await page.page.goto(`${url}/app`);
  await page.page.waitForFunction(
    () => ((globalThis as unknown as { paintedMs?: number }).paintedMs ?? -1) > 0,
    undefined,
    { polling: "raf" },
  );
  const [answersAtPaint, bytesAtPaint] = [answers, answerBytes];
  const paintedMs = await page.page.evaluate(() => (globalThis as unknown as { paintedMs: number }).paintedMs);
  const elements = await page.page.evaluate(() => document.querySelectorAll("*").length);
  return { paintedMs, answers: answersAtPaint, answerBytes: bytesAtPaint, elements };
}

/**
 * From the stream's word to the painted row: the server's write, the browser's network, the worker that reads for all tabs, its word
 * to the page, the list in order, layout, and the wait for the next frame, of which a screen shows one each 16.7 ms.
 */
async function liveRowMs(page: Page, player: ReturnType<typeof startStreamPlayer>, sample: object): Promise<number[]> {
  const took: number[] = [];
  for (let n = 1; n <= LIVE_ROWS; n++) {
    const id = 1_000_000 + n;
    const seen = page.evaluate(
      (wanted) =>
        new Promise<number>((resolve) => {
          const look = new MutationObserver(() => {
            if (document.querySelector(`[data-incident="${wanted}"]`) === null) return;
            look.disconnect();
            requestAnimationFrame(() => setTimeout(() => resolve(Date.now())));
          });
          look.observe(document, { childList: true, subtree: true });
        }),
      id,
    );
    await page.evaluate(() => undefined);
    const startMs = Date.now();
    player.tell("incident", { ...sample, id, severity: "critical", source: `live-${n}` });
    took.push((await seen) - startMs);
  }
  return took;
}

/** From the pointer's event to the painted change, on an incident's page, while the server takes its time to answer. */
async function pressMs(page: Page): Promise<number[]> {
  await page.route(/\/decisions$/, async (route) => {
    await Bun.sleep(ANSWER_MS);
    await route.fulfill({ status: 409, contentType: "application/problem+json", body: '{"detail":"not now"}' });
  });
  const button = page.getByRole("button", { name: "Acknowledge" });
  const took: number[] = [];
  for (let n = 0; n < PRESSES; n++) {
    await button.waitFor();
    took.push(await msToPaint(page, ".bar", () => button.click()));
  }
  return took;
}

/** From the press to the word that a hundred are acknowledged. */
async function hundredMs(page: Page): Promise<number> {
  await page.locator('li[aria-posinset="1"] .row-box').click();
  const last = page.locator(`li[aria-posinset="${HUNDRED}"] .row-box`);
  await page.mouse.move(180, 400);
  const isThere = async () => {
    await page.mouse.wheel(0, 600);
    return (await last.count()) > 0;
  };
  await until(isThere, { ms: 20_000, what: `row ${HUNDRED}` });
  await last.click({ modifiers: ["Shift"] });
  const startMs = performance.now();
  await page.getByRole("button", { name: "Acknowledge" }).click();
  await page.getByText(`${HUNDRED} incidents acknowledged`).waitFor();
  return performance.now() - startMs;
}

async function heapAfterEvents(
  page: Page,
  session: CDPSession,
  player: ReturnType<typeof startStreamPlayer>,
  sample: object,
) {
  for (let n = 0; n < EVENTS; n++) {
    player.tell("incident", { ...sample, id: 2_000_000 + n, source: `event-${n}`, severity: "critical" });
    if (n % 500 === 0) await Bun.sleep(5);
  }
  await page.locator(`[data-incident="${2_000_000 + EVENTS - 1}"]`).waitFor();
  await session.send("HeapProfiler.enable");
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  return usedSize;
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const shown = (ms: number) => ms.toFixed(0);
const say = (line: string) => process.stdout.write(`${line}\n`);

const database = await createTestDatabase();
await seed(database);
const server = await startTestServer(database.url);
try {
  await load(server.url, false);
  for (const slow of [false, true]) {
    const loads: Load[] = [];
    for (let n = 0; n < RUNS; n++) loads.push(await load(server.url, slow));
    const of = (name: keyof Load) => median(loads.map((one) => one[name]));
    const where = slow ? `CPU ÷ ${SLOW.cpu}, 1.6 Mbit/s, ${SLOW.latencyMs} ms` : "this machine";
    say(`first row (${where}): ${Math.round(of("paintedMs"))} ms, median of ${RUNS}`);
    say(
      `  ${of("answers")} answers before it with ${(of("answerBytes") / 1000).toFixed(1)} KB, ${of("elements")} elements`,
    );
  }
  const player = startStreamPlayer(server.url);
  const { body } = await server.api("/v1/incidents?view=short&order=urgent&limit=1");
  const { opened: page, session } = await opened(false);
  await page.page.goto(`${player.url}/app`);
  await page.page.locator(".connection.is-live").waitFor();
  await page.page.locator("a.row").first().waitFor();
  const rows = await liveRowMs(page.page, player, body[0]);
  say(`a live row: ${median(rows)} ms, at most ${Math.max(...rows)} ms, of ${LIVE_ROWS}`);
  await page.page.goto(`${player.url}/app/incidents/${body[0].id}`);
  const presses = await pressMs(page.page);
  say(`a press is seen: ${shown(median(presses))} ms, at most ${shown(Math.max(...presses))} ms, of ${PRESSES}`);
  await page.page.goto(`${server.url}/app/incidents`);
  await page.page.locator(".connection.is-live").waitFor();
  say(`${HUNDRED} acknowledged: ${shown(await hundredMs(page.page))} ms`);
  await page.page.goto(`${player.url}/app`);
  await page.page.locator(".connection.is-live").waitFor();
  const heap = await heapAfterEvents(page.page, session, player, body[0]);
  say(`heap after ${EVENTS} events: ${(heap / 1e6).toFixed(1)} MB`);
  await page[Symbol.asyncDispose]();
  await player.stop();
} finally {
  await server.stop();
  await database.close();
}
await runAtEnd();
