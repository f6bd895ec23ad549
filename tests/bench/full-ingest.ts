import { encodeFrame } from "../../src/protocol/encode.ts";
import { logsOf } from "./samples.ts";

/** Sockets that send at once, and alerts of each that may be on their way. */
const CONNECTIONS = 40;
const WINDOW = 32;
/** So many alerts of a kind, as in the database that is filled. */
const GROUP = 25;
const WARM_UP_MS = 1_000;
/** How often it is looked how fast it is: a dip shows. */
const TICK_MS = 500;
const LOG_CHARS = 500;
const PACE_MS = 10;

interface Sender {
  send(): void;
  close(): void;
}

/** Who takes alerts, and what it and its database have taken so far of a processor, and written to the log. */
export interface Taking {
  readonly url: string;
  cpuSeconds(): number;
  walBytes(): Promise<number>;
}

/** Alerts that were acknowledged; what each took. */
export interface Ingested {
  readonly perSecond: number;
  /** In the slowest two seconds. */
  readonly leastPerSecond: number;
  readonly cpuMs: number;
  readonly walBytes: number;
}

/** How long, and how many a second; as fast as they are acknowledged where that is not said. */
interface Load {
  readonly seconds: number;
  readonly perSecond?: number;
}

/** Sends alerts. */
export async function ingest(server: Taking, { seconds, perSecond }: Load, signal: AbortSignal): Promise<Ingested> {
  const run = crypto.randomUUID().slice(0, 8);
  const logs = logsOf(1, LOG_CHARS);
  let [sent, acknowledged, isOver] = [0, 0, false];

  function connect(at: number): Promise<Sender> {
    const opened = Promise.withResolvers<Sender>();
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/v1/stream`);
    const token = `bench-full-host-${at}`;
    const send = () => {
      const n = sent++;
      const source = `worker-${run}-${at}-${Math.floor(n / CONNECTIONS / GROUP)}`;
      const payload = { type: "app", source, message: "the worker ended", logs, severity: "warning" };
      const ts = Date.now() / 1_000;
      socket.send(
        encodeFrame({ ver: "1.1", ts, id: Bun.randomUUIDv7(), token, type: "alert", compression: "none", payload }),
      );
    };
    socket.onopen = () => {
      if (perSecond === undefined) for (let n = 0; n < WINDOW; n++) send();
      opened.resolve({ send, close: () => socket.close() });
    };
    socket.onmessage = ({ data }) => {
      if (!String(data).includes('"ack"')) return;
      acknowledged++;
      if (!isOver && perSecond === undefined) send();
    };
    socket.onerror = () => opened.reject(new Error("a socket could not be opened"));
    return opened.promise;
  }

  const senders = await Promise.all(Array.from({ length: CONNECTIONS }, (_, at) => connect(at)));
  const beganMs = performance.now();
  /** What is due by now, as long as no more than a window of each socket is on its way. */
  const pace = () => {
    const dueNow = ((performance.now() - beganMs) / 1_000) * (perSecond ?? 0);
    while (sent < dueNow && sent - acknowledged < CONNECTIONS * WINDOW) senders[sent % CONNECTIONS]?.send();
  };
  const pacing = setInterval(pace, PACE_MS);
  await Bun.sleep(WARM_UP_MS);
  const looks: { atMs: number; count: number }[] = [];
  const [startMs, cpuS, walBytes, first] = [
    performance.now(),
    server.cpuSeconds(),
    await server.walBytes(),
    acknowledged,
  ];
  while (performance.now() - startMs < seconds * 1_000 && !signal.aborted) {
    looks.push({ atMs: performance.now(), count: acknowledged });
    await Bun.sleep(TICK_MS);
  }
  looks.push({ atMs: performance.now(), count: acknowledged });
  isOver = true;
  clearInterval(pacing);
  const each = (amount: number) => amount / (acknowledged - first);
  const took = {
    cpuMs: each((server.cpuSeconds() - cpuS) * 1_000),
    walBytes: each((await server.walBytes()) - walBytes),
  };
  for (const sender of senders) sender.close();
  const rate = (from: number, to: number) => {
    const [first, last] = [looks.at(from), looks.at(to)];
    return first && last ? ((last.count - first.count) * 1_000) / (last.atMs - first.atMs) : Number.NaN;
  };
  const windows = looks.slice(4).map((_, at) => rate(at, at + 4));
  return { perSecond: rate(0, -1), leastPerSecond: Math.min(...windows), ...took };
}
