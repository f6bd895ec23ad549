import { Elysia } from "elysia";
import { Registry } from "prom-client";
import type { Authentication, PresenceService, TokenService } from "../../src/fleet/model.ts";
import { createConnections } from "../../src/gateway/connections.ts";
import { createGateway } from "../../src/gateway/gateway.ts";
import type { GatewayLimits } from "../../src/gateway/limits.ts";
import { createGatewayMetrics } from "../../src/gateway/metrics.ts";
import { WEBSOCKET_OPTIONS } from "../../src/gateway/socket.ts";
import type { IngestService, OfferedAlert, OfferedResult } from "../../src/ingest/model.ts";
import { createClientAddress } from "../../src/lib/addresses.ts";
import { type Clock, createSystemClock } from "../../src/lib/clock.ts";
import { createFailureCounter, FAILURE_LIMITS } from "../../src/lib/failure-counter.ts";
import { createLog } from "../../src/lib/log.ts";
import { createLoops } from "../../src/lib/loops.ts";
import type { HeartbeatPayload } from "../../src/protocol/frames.ts";

/** Every token `token-…` belongs to the agent of the rest of its name; a test says what else it wants. */
export class FakeTokens implements TokenService {
  asked: string[] = [];
  revoked = new Set<string>();
  failure: Exclude<Authentication, { ok: true }> | undefined;
  /** Whether answers are remembered. */
  remembers = true;
  gate: Promise<unknown> = Promise.resolve();
  readonly #known = new Map<string, string>();

  cached(token: string): string | undefined {
    return this.remembers ? this.#known.get(token) : undefined;
  }

  async authenticate(token: string): Promise<Authentication> {
    this.asked.push(token);
    await this.gate;
    if (this.failure) return this.failure;
    const agentId = token.replace(/^token-/, "agent-").replace(/~.*$/, "");
    if (!token.startsWith("token-") || this.revoked.has(token)) {
      return { ok: false, reason: "unauthorized", message: "unknown token" };
    }
    this.#known.set(token, agentId);
    return { ok: true, agentId };
  }

  forget(): void {
    this.#known.clear();
  }
}

export class FakePresence implements PresenceService {
  claims: { agentId: string; connectionId: string }[] = [];
  released: { agentId: string; connectionId: string }[] = [];
  goodbyes: string[] = [];
  sightings: { agentId: string; heartbeat?: HeartbeatPayload; skewSeconds?: number }[] = [];
  /** So many claims fail before one succeeds. */
  failures = 0;
  gate: Promise<unknown> = Promise.resolve();

  async claim(agentId: string, connectionId: string): Promise<void> {
    await this.gate;
    if (this.failures > 0) {
      this.failures--;
      throw new Error("the database is away");
    }
    this.claims.push({ agentId, connectionId });
  }

  release(agentId: string, connectionId: string, isGoodbye = false): void {
    this.released.push({ agentId, connectionId });
    if (isGoodbye) this.goodbyes.push(agentId);
  }

  async introduce(): Promise<void> {}

  seen(agentId: string, heartbeat?: HeartbeatPayload, skewSeconds?: number): void {
    this.sightings.push({ agentId, ...(heartbeat && { heartbeat }), ...(skewSeconds && { skewSeconds }) });
  }
}

export class FakeIngest implements IngestService {
  accepted: (OfferedAlert | OfferedResult)[] = [];
  stalled = false;
  /** Frames are settled at once; else when the test says so. */
  settles = true;

  accept(frame: OfferedAlert | OfferedResult): void {
    this.accepted.push(frame);
    if (this.settles) queueMicrotask(() => frame.settled?.({ ok: true }));
  }

  uuidOf(): string {
    return crypto.randomUUID();
  }

  hold(): void {}

  isHeld(): boolean {
    return false;
  }

  isFull() {
    return false;
  }
  isStalled(): boolean {
    return this.stalled;
  }

  queuedBytes(): number {
    return 0;
  }

  async stop(): Promise<number> {
    return 0;
  }

  /** The messages of the alerts, in the order in which they were accepted. */
  messages(): string[] {
    return this.accepted.flatMap((frame) => (frame.kind === "alert" ? [frame.alert.message] : []));
  }
}

/** A gateway behind a real server on a port of its own, with everything behind it fake. */
export function startGateway(
  options: { clock?: Clock; heartbeatTimeoutMs?: number; limits?: Partial<GatewayLimits> } = {},
) {
  const tokens = new FakeTokens();
  const presence = new FakePresence();
  const ingest = new FakeIngest();
  const registry = new Registry();
  const connections = createConnections();
  const clock = options.clock ?? createSystemClock();
  const log = createLog({ level: "silent", readable: false });
  const gateway = createGateway({
    connections,
    tokens,
    presence,
    figures: { heard: () => undefined },
    ingest,
    addressOf: createClientAddress([]),
    failures: createFailureCounter(clock, FAILURE_LIMITS),
    clock,
    loops: createLoops(clock, log),
    log,
    metrics: createGatewayMetrics(registry, connections),
    heartbeatTimeoutMs: options.heartbeatTimeoutMs ?? 90_000,
    ...(options.limits && { limits: options.limits }),
  });
  const app = new Elysia({ websocket: WEBSOCKET_OPTIONS }).use(gateway.routes);
  app.listen({ hostname: "127.0.0.1", port: 0, reusePort: false });
  gateway.start();
  const port = app.server?.port ?? 0;
  return {
    tokens,
    presence,
    ingest,
    registry,
    connections,
    gateway,
    port,
    url: `ws://127.0.0.1:${port}/v1/stream`,
    async stop() {
      await gateway.stop(0);
      await app.stop(true);
    },
  };
}

export type TestGateway = ReturnType<typeof startGateway>;
