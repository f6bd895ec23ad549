import { AnnouncingServer, serviceAlert } from "../support/announcing.ts";
import { until } from "../support/until.ts";

/** More in a minute would be a storm, and told in one message. */
const ALERTS = 20;
/** Slack takes a message a second; after this long nothing is under way. */
const PAUSE_MS = 1_500;
/** Before the first alert, for the server to come to rest. */
const REST_MS = 3_000;

/** Sends alerts one by one to a server at rest, and measures from each one's ack to its message in Slack. */
async function run(): Promise<void> {
  await using cleanups = new AsyncDisposableStack();
  const server = await AnnouncingServer.start("web-api");
  cleanups.defer(() => server.stop());
  const { token } = await server.newAgent();
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/v1/stream`);
  cleanups.defer(() => socket.close());
  const ackedMs = new Map<string, number>();
  socket.onmessage = ({ data }) => {
    const nowMs = performance.now();
    const frame = JSON.parse(String(data));
    if (frame.type === "ack") ackedMs.set(frame.id, nowMs);
  };
  await until(() => socket.readyState === WebSocket.OPEN, { what: "the socket is open" });
  await Bun.sleep(REST_MS);
  const took: number[] = [];
  for (let n = 1; n <= ALERTS; n++) {
    const alert = serviceAlert(token, `service-${n}`);
    socket.send(JSON.stringify(alert));
    const call = await until(() => server.slack.calls(server.method)[n - 1], { ms: 30_000, what: `message ${n}` });
    const ack = await until(() => ackedMs.get(String(alert.id)), { what: `ack ${n}` });
    took.push(call.atMs - ack);
    await Bun.sleep(PAUSE_MS);
  }
  took.sort((a, b) => a - b);
  const at = (part: number) => (took[Math.ceil(part * took.length) - 1] ?? Number.NaN).toFixed(0);
  process.stdout.write(
    `ack to message    p50 ${at(0.5)} ms, max ${at(1)} ms (${ALERTS} alerts, one at a time, at rest)\n`,
  );
}

await run();
