import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import WebSocket from "ws";
import { checkCertificate } from "../../src/doctor/checks.ts";
import { type Listening, listen } from "../../src/http/listen.ts";
import { createLog } from "../../src/lib/log.ts";
import { createLoops, type Loop } from "../../src/lib/loops.ts";
import { startCertificate } from "../../src/server/certificate.ts";
import { CERTIFICATE, CERTIFICATE_KEY, OTHER_CERTIFICATE, OTHER_KEY } from "../support/certificate.ts";
import { createTestClock } from "../support/clock.ts";
import { testApp } from "../support/http-app.ts";
import { until } from "../support/until.ts";

const DAY_MS = 86_400_000;
const END_MS = Date.parse("2126-10-31T19:17:52Z");
/** Longer than the rest between two looks. */
const LOOK_MS = 31_000;

let folder = "";
let listening: Listening;
let loop: Loop;
/** Other tests of this process may have left some. */
let listenersBefore = 0;
const clock = createTestClock(END_MS - 20 * DAY_MS);
const logged: string[] = [];
const answer = Promise.withResolvers<void>();

beforeAll(async () => {
  listenersBefore = process.listenerCount("beforeExit");
  folder = await mkdtemp(join(tmpdir(), "opspilot-certificate-"));
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  const tls = { cert: CERTIFICATE, key: CERTIFICATE_KEY, files };
  await put(CERTIFICATE, CERTIFICATE_KEY);
  const setup = { look: () => answer.promise.then(() => []) };
  listening = listen(testApp({ setup }, { tls }).app, { listen: { host: "127.0.0.1", port: 0 }, tls });
  const log = createLog({ level: "info", readable: false, destination: { write: (line) => void logged.push(line) } });
  loop = startCertificate({ tls, listening, loops: createLoops(clock, log), clock, log });
});
afterAll(async () => {
  await loop.stop();
  await listening.stop();
  await rm(folder, { recursive: true, force: true });
});

async function put(cert: string, key: string): Promise<void> {
  await Bun.write(join(folder, "cert.pem"), cert);
  await Bun.write(join(folder, "key.pem"), key);
}

const count = (text: string) => logged.filter((line) => line.includes(text)).length;

/** Lets the files be looked at until this has been logged so often. */
async function look(text: string, times = 1): Promise<void> {
  await until(
    () => {
      clock.leap(LOOK_MS);
      return count(text) >= times;
    },
    { what: text },
  );
}

async function dial(): Promise<TLSSocket> {
  const socket = connect({ port: listening.port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  return socket;
}

/** Whose certificate a new connection is shown. */
async function shown(): Promise<string | undefined> {
  const socket = await dial();
  const { O: organisation } = socket.getPeerCertificate().subject as { O?: string };
  socket.destroy();
  return organisation;
}

/** Connects and asks again and again, from several sides; `stop` gives what came of it, each outcome once. */
function keepAsking(): { stop(): Promise<unknown[]> } {
  const outcomes = new Set<unknown>();
  let isOver = false;
  const ask = () =>
    fetch(`${listening.url}/healthz`, { keepalive: false, tls: { rejectUnauthorized: false } }).then(
      ({ status }) => status,
      (error) => error.code,
    );
  const side = async () => {
    while (!isOver) outcomes.add(await ask());
  };
  const sides = Promise.all(Array.from({ length: 8 }, side));
  return {
    async stop() {
      isOver = true;
      await sides;
      return [...outcomes];
    },
  };
}

test("new files are shown to new connections, and those that are there go on; broken ones are told, and not used", async () => {
  const socket = new WebSocket(`wss://127.0.0.1:${listening.port}/v1/stream`, { rejectUnauthorized: false });
  await once(socket, "message");
  let closed = 0;
  socket.on("close", (code) => {
    closed = code;
  });
  const slow = fetch(`${listening.url}/v1/setup`, { tls: { rejectUnauthorized: false } });
  expect(await shown()).toBeUndefined();

  // A key that does not fit, a certificate that is half written, a file that is away: each told once.
  await put(CERTIFICATE, OTHER_KEY);
  await look("is not the key of the certificate");
  await put(OTHER_CERTIFICATE.slice(0, 300), OTHER_KEY);
  await look("holds no certificate in PEM form");
  await rm(join(folder, "key.pem"));
  await look("cannot be read (ENOENT)");
  await clock.advance(5 * LOOK_MS);
  expect(count("cannot be used: the one before stays in use")).toBe(3);
  expect(await shown()).toBeUndefined();

  const asking = keepAsking();
  for (const [at, [cert, key, organisation]] of (
    [
      [OTHER_CERTIFICATE, OTHER_KEY, "other"],
      [CERTIFICATE, CERTIFICATE_KEY, undefined],
    ] as const
  ).entries()) {
    await put(cert, key);
    await look("the certificate is renewed", at + 1);
    for (let n = 0; n < 20; n++) expect(await shown()).toBe(organisation);
  }
  expect(await asking.stop()).toEqual([200]);
  expect(count('"ends":"2126-')).toBeGreaterThanOrEqual(3);

  const pong = once(socket, "pong");
  socket.ping();
  await pong;
  expect(closed).toBe(0);
  answer.resolve();
  expect((await slow).status).toBe(200);

  const { port } = listening;
  const second = () =>
    listen(testApp().app, {
      listen: { host: "127.0.0.1", port },
      tls: { cert: CERTIFICATE, key: CERTIFICATE_KEY, files: { cert: "", key: "" } },
    });
  expect(second).toThrow(`port ${port} is taken`);
  expect(process.listenerCount("beforeExit")).toBe(listenersBefore);

  await listening.stop();
  await until(() => closed !== 0, { what: "sockets of before the renewal are closed with the rest" });
}, 60_000);

test("its end is told in time, by the log and by doctor", async () => {
  clock.leap(7 * DAY_MS);
  await look("the certificate ends soon");
  clock.leap(14 * DAY_MS);
  await look("the certificate has ended");
  expect(count("the certificate ends soon")).toBe(1);
  const tls = { cert: CERTIFICATE, key: CERTIFICATE_KEY };
  expect(checkCertificate(tls, END_MS - 30 * DAY_MS)).toMatchObject({
    status: "ok",
    text: expect.stringContaining("good until 2126-10-31, for 30 more"),
  });
  expect(checkCertificate(tls, END_MS - 13 * DAY_MS).status).toBe("warn");
  expect(checkCertificate(tls, END_MS + 1).status).toBe("fail");
});
