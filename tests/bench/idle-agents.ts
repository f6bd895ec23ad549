import { until } from "../support/until.ts";

const HEARTBEAT_MS = 30_000;
const ONLINE_LIMIT_MS = 60_000;
/** Made beside each other. */
const CHUNK = 10;

/** Plain sockets that say what agents say: a hello, then a heartbeat with figures each 30 s, each at a moment of its own. */
export async function connectAgents(url: string, count: number, cleanups: AsyncDisposableStack): Promise<void> {
  for (let at = 0; at < count; at += CHUNK) {
    const made = Array.from({ length: Math.min(CHUNK, count - at) }, async (_, n) => {
      const token = await createAgent(url, `idle-${at + n}`);
      await connectAgent(url, token, ((at + n) / count) * HEARTBEAT_MS, cleanups);
    });
    await Promise.all(made);
  }
  const isOnline = async () => {
    const answer = await fetch(`${url}/v1/agents?limit=1000`, { keepalive: false });
    const agents = (await answer.json()) as { status: string }[];
    return agents.filter(({ status }) => status === "online").length >= count;
  };
  await until(isOnline, { ms: ONLINE_LIMIT_MS, what: `${count} agents are online` });
}

async function createAgent(url: string, hostname: string): Promise<string> {
  const answer = await fetch(`${url}/v1/agents`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ hostname }),
    keepalive: false,
  });
  if (answer.status !== 201) throw new Error(`POST /v1/agents: ${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { token: string }).token;
}

async function connectAgent(url: string, token: string, firstMs: number, cleanups: AsyncDisposableStack) {
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/stream`);
  const opened = Promise.withResolvers<void>();
  socket.onopen = () => opened.resolve();
  socket.onerror = () => opened.reject(new Error("a socket could not be opened"));
  await opened.promise;
  const say = () => socket.send(JSON.stringify(heartbeatOf(token)));
  say();
  let timer = setTimeout(function again() {
    say();
    timer = setTimeout(again, HEARTBEAT_MS);
  }, firstMs);
  cleanups.defer(async () => {
    clearTimeout(timer);
    socket.close();
  });
}

/** Figures that differ each time, as those of hosts do. */
function heartbeatOf(token: string): Record<string, unknown> {
  const some = (most: number) => Math.round(Math.random() * most);
  const metrics = {
    cpu_pct: some(100),
    load1: some(4),
    load5: some(4),
    load15: some(4),
    mem_used_bytes: some(2 ** 32),
    mem_total_bytes: 2 ** 33,
    swap_used_bytes: 0,
    disks: [{ mount: "/", used_bytes: some(2 ** 36), total_bytes: 2 ** 37 }],
  };
  const data = {
    version: "0.1.0",
    os: "Debian GNU/Linux 12",
    arch: "x64",
    kernel: "6.1.0",
    uptime_s: some(10 ** 6),
    metrics,
  };
  return {
    ver: "1.1",
    ts: Date.now() / 1_000,
    token,
    type: "heartbeat",
    data: JSON.stringify(data),
    compression: "none",
  };
}
