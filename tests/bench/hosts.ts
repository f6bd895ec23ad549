import { RECONNECT_BACKOFF } from "../../src/agent/server-connection.ts";
import { backoffMs } from "../../src/lib/clock.ts";
import { encodeFrame } from "../../src/protocol/encode.ts";

/** Hosts that are connected and send nothing but heartbeats. */
export interface HostsOptions {
  readonly url: string;
  readonly tokens: readonly string[];
  readonly heartbeatMs: number;
  /** Of the first connections; who lost one comes back by itself. */
  readonly connectsPerSecond: number;
  /** Called with each frame that is no acknowledgement, and with how to answer it. */
  readonly onFrame?: (frame: Record<string, unknown>, answer: (payload: Record<string, unknown>) => void) => void;
}

/** How they are. */
export interface HostsState {
  /** Hosts whose present connection had a heartbeat acknowledged. */
  readonly connected: number;
  readonly sent: number;
  /** Heartbeats that were not acknowledged in time, those of a lost connection apart. */
  readonly missed: number;
  /** Connections that were there and ended. */
  readonly lost: number;
}

interface Host {
  readonly token: string;
  readonly at: number;
  socket: WebSocket | undefined;
  attempt: number;
  /** Of the heartbeats so far. */
  sequence: number;
  isConnected: boolean;
  /** When the heartbeat that is not acknowledged yet was sent. */
  waitingSinceMs: number | undefined;
}

/** An acknowledgement after more than this is as good as none. */
const LATE_MS = 10_000;
const TICK_MS = 20;

/** Connects them all, and keeps them connected until `close`. */
export function connectHosts(options: HostsOptions): { state(): HostsState; close(): void } {
  const { url, tokens, heartbeatMs, connectsPerSecond } = options;
  const hosts = tokens.map((token, at): Host => {
    return { token, at, socket: undefined, attempt: 0, sequence: 0, isConnected: false, waitingSinceMs: undefined };
  });
  const run = crypto.randomUUID().slice(0, 8);
  const retries = new Set<Timer>();
  const startedMs = performance.now();
  let [begun, beaten, sent, missed, lost] = [0, 0, 0, 0, 0];
  let isClosed = false;

  function connect(host: Host): void {
    const socket = new WebSocket(url);
    host.socket = socket;
    socket.onopen = () => beat(host);
    socket.onmessage = ({ data }) => receive(host, JSON.parse(String(data)));
    socket.onclose = () => comeBack(host);
  }

  function beat(host: Host): void {
    if (host.socket?.readyState !== WebSocket.OPEN) return;
    if (host.waitingSinceMs !== undefined) missed++;
    host.waitingSinceMs = performance.now();
    sent++;
    host.socket.send(frameOf(host, "heartbeat", heartbeatOf(host.at)));
  }

  function frameOf(host: Host, type: "heartbeat" | "result", payload: Record<string, unknown>): string {
    const id = `${run}-${host.at}-${host.sequence++}`;
    return encodeFrame({
      ver: "1.1",
      ts: Math.floor(Date.now() / 1_000),
      token: host.token,
      type,
      id,
      compression: "none",
      payload,
    });
  }

  function receive(host: Host, frame: Record<string, unknown>): void {
    if (frame.type === "ack") acknowledge(host);
    else if (frame.type === "error" && !host.isConnected) askAgain(host, Number(frame.retry_after_s ?? 0) * 1_000);
    else options.onFrame?.(frame, (payload) => host.socket?.send(frameOf(host, "result", payload)));
  }

  /** Who is not accepted yet sends the next heartbeat as soon as that is wanted. */
  function askAgain(host: Host, afterMs: number): void {
    host.waitingSinceMs = undefined;
    const { socket } = host;
    later(afterMs, () => {
      if (host.socket === socket) beat(host);
    });
  }

  function later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      retries.delete(timer);
      work();
    }, ms);
    retries.add(timer);
  }

  function acknowledge(host: Host): void {
    if (host.waitingSinceMs === undefined) return;
    if (performance.now() - host.waitingSinceMs > LATE_MS) missed++;
    host.waitingSinceMs = undefined;
    host.isConnected = true;
    host.attempt = 0;
  }

  function comeBack(host: Host): void {
    if (isClosed) return;
    if (host.isConnected) lost++;
    host.isConnected = false;
    host.waitingSinceMs = undefined;
    later(backoffMs(host.attempt++, RECONNECT_BACKOFF), () => connect(host));
  }

  /** Each host's heartbeats come evenly, and those of all are spread over the time between two. */
  function tick(): void {
    const elapsedMs = performance.now() - startedMs;
    for (const due = (elapsedMs / 1_000) * connectsPerSecond; begun < Math.min(due, hosts.length); begun++) {
      const host = hosts[begun];
      if (host) connect(host);
    }
    for (const due = (elapsedMs / heartbeatMs) * hosts.length; beaten < due; beaten++) {
      const host = hosts[beaten % hosts.length];
      if (host?.isConnected) beat(host);
    }
  }

  const ticking = setInterval(tick, TICK_MS);
  return {
    state: () => ({ connected: hosts.filter(({ isConnected }) => isConnected).length, sent, missed, lost }),
    close() {
      isClosed = true;
      clearInterval(ticking);
      for (const timer of retries) clearTimeout(timer);
      for (const { socket } of hosts) socket?.close();
    },
  };
}

function heartbeatOf(host: number): Record<string, unknown> {
  const disks = [{ mount: "/", used_bytes: 10e9, total_bytes: 64e9 }];
  const metrics = { cpu_pct: host % 100, load1: 0.5, mem_used_bytes: 1e9, mem_total_bytes: 8e9, disks };
  return { hostname: `host-${host}`, version: "0.1.0", os: "linux", uptime_s: 1_000 + host, metrics };
}
