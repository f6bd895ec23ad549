import type { Clock } from "../../lib/clock.ts";
import { DockerError } from "../docker-error.ts";
import type { ReportAlert } from "../model.ts";

export interface EngineWatchOptions {
  readonly clock: Pick<Clock, "now" | "monotonicMs">;
  readonly report: ReportAlert;
  /** The engine that was heard of last, and whether it was told to be gone. */
  readonly initial: KnownEngine | undefined;
  readonly awayMs: number;
}

/** An engine that was there once. */
export interface KnownEngine {
  readonly name: string;
  readonly socketPath: string;
  /** It was told to be away. */
  readonly isAway: boolean;
}

/** No container can have such a name. */
const sourceOf = ({ name }: KnownEngine) => `${name} (engine)`;

/**
 * Tells of an engine that was there, and does not answer any more: with Docker's own end mostly goes that of its containers,
 * with Podman's only our view of them. One that never was there is none to be missed.
 */
export function createEngineWatch({ clock, report, initial, awayMs }: EngineWatchOptions) {
  let known = initial;
  let lostMs: number | undefined;
  return {
    known: (): KnownEngine | undefined => known,
    async answers(name: string, socketPath: string): Promise<void> {
      lostMs = undefined;
      const before = known;
      known = { name, socketPath, isAway: false };
      if (!before?.isAway) return;
      const message = `${before.name} answers again`;
      await report({ type: "docker", source: sourceOf(before), message, state: "resolved", atMs: clock.now() });
    },
    /** A try has failed. True when that was told. */
    async failed(error: unknown): Promise<boolean> {
      if (!(error instanceof DockerError) || !["absent", "broken", "timeout"].includes(error.reason)) return false;
      lostMs ??= clock.monotonicMs();
      if (known === undefined || known.isAway || clock.monotonicMs() - lostMs < awayMs) return false;
      const means = known.name === "Docker" ? "its containers may be down" : "nothing is seen of its containers";
      known = { ...known, isAway: true };
      const message = `${known.name} does not answer at ${known.socketPath}: ${means} (${error.message})`;
      const severity = known.name === "Docker" ? "critical" : "warning";
      await report({ type: "docker", source: sourceOf(known), message, severity, state: "firing", atMs: clock.now() });
      return true;
    },
  };
}

export type EngineWatch = ReturnType<typeof createEngineWatch>;
