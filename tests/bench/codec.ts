/** How fast frames are decoded, on one core: `bun tests/bench/codec.ts`. */
import { decodeEnvelope, decodePayload } from "../../src/protocol/decode.ts";
import { encodeFrame } from "../../src/protocol/encode.ts";
import type { FrameType } from "../../src/protocol/frames.ts";
import { logsOf } from "./samples.ts";

const ROUNDS = 5;
const FRAMES = 50_000;
/** Different texts in turn, so that no cache of strings makes it look faster than it is. */
const VARIANTS = 256;

const alert = (variant: number) => ({
  type: "systemd",
  source: `nginx-${variant}`,
  message: "nginx crashed",
  logs: logsOf(variant, 2048),
  exit_code: 1,
});

const heartbeat = (variant: number) => ({
  hostname: `host-${variant}`,
  version: "1.0.0",
  os: "linux",
  uptime_s: 1000 + variant,
  metrics: { cpu_pct: 12.5, load1: 0.5, mem_used_bytes: 1e9, disks: [{ mount: "/", used_bytes: 1, total_bytes: 2 }] },
});

function frames(type: FrameType, compression: "none" | "gzip", payload?: (variant: number) => Record<string, unknown>) {
  return Array.from({ length: VARIANTS }, (_, variant) =>
    encodeFrame({
      ver: "1.1",
      ts: 1706140800 + variant,
      token: `token-of-agent-${variant}`,
      type,
      id: `run-${variant}`,
      compression,
      ...(payload ? { payload: payload(variant) } : {}),
    }),
  );
}

function decodeAll(texts: readonly string[], count: number): void {
  for (let at = 0; at < count; at++) {
    const decoded = decodeEnvelope(texts[at % VARIANTS]);
    if (!decoded.ok || !decodePayload(decoded.envelope).ok) throw new Error("a frame of the benchmark is refused");
  }
}

function measure(name: string, texts: readonly string[]): void {
  decodeAll(texts, FRAMES / 5);
  const rates = Array.from({ length: ROUNDS }, () => {
    const startMs = performance.now();
    decodeAll(texts, FRAMES);
    return (FRAMES / (performance.now() - startMs)) * 1000;
  }).sort((a, b) => a - b);
  const median = rates[ROUNDS >> 1] ?? 0;
  const bytes = texts[0]?.length ?? 0;
  process.stdout.write(`${name}, ${bytes} bytes a frame: ${Math.round(median)} frames/s\n`);
}

measure("heartbeat without data", frames("heartbeat", "none"));
measure("heartbeat with metrics", frames("heartbeat", "none", heartbeat));
measure("alert of 2 KB logs, plain", frames("alert", "none", alert));
measure("alert of 2 KB logs, gzip", frames("alert", "gzip", alert));
