import type { HeartbeatPayload, Severity } from "../protocol/frames.ts";

/** Something that went wrong on this host, or is right again, as a collector tells it. */
export interface HostAlert {
  /** systemd, docker, host, log or check. */
  readonly type: string;
  /** The unit, the container, the mount, the pattern's target: what a person would call it. */
  readonly source: string;
  /** One line. */
  readonly message: string;
  /** Newline-separated, oldest first. */
  readonly logs?: string;
  readonly exitCode?: number;
  readonly severity?: Severity;
  readonly state: "firing" | "resolved";
  /** When it happened, by this host's clock, Unix milliseconds. */
  readonly atMs: number;
  /**
   * Names this happening, where it has a name (its place in the journal, say): what is told twice, since the agent was
   * killed between telling it and noting that, has one effect. At most KEY_CHARS_MAX characters of ASCII.
   */
  readonly key?: string;
}

/** Together with the prefix of a message id it must fit into MESSAGE_ID_CHARS_MAX. */
export const KEY_CHARS_MAX = 48;

/** Takes alerts; what it took is on disk when the promise resolves. Never rejects: a full disk is counted and told. */
export type ReportAlert = (alert: HostAlert) => Promise<void>;

/** What a collector sees now, for heartbeats. */
export interface CollectorHealth {
  /** `absent`: what it watches was never there on this host. */
  readonly state: "sees" | "cannot" | "absent";
  /** For so long already, by the monotonic clock. */
  readonly forMs: number;
  /** In words; where it does not see. */
  readonly why?: string;
  /** What it leaves out since there is too much of it, in words. */
  readonly gaveUp: readonly string[];
  /** It does not see, and an alert of a collector's tells people so already. */
  readonly isTold: boolean;
}

/** What one collector can see on this host, for `opspilot agent check`. */
export interface CollectorCheck {
  readonly name: string;
  readonly ok: boolean;
  /** It cannot, but only since what it watches is not on this host: no fault, and it looks for it again. */
  readonly absent?: boolean;
  /** In words: what it watches, or why it cannot and what to do about it. */
  readonly detail: string;
}

/**
 * Watches one kind of thing. Each runs alone: one that fails or is absent tries again by itself with back-off, and
 * harms no other.
 */
export interface Collector {
  readonly name: string;
  /** Begins to watch; never throws. What it needs may be absent and come later. */
  start(report: ReportAlert): void;
  /** Ends its children and timers; safe to call twice. */
  stop(): Promise<void>;
  /** What it sees now; undefined where there is nothing for it to do. */
  health(): CollectorHealth | undefined;
  /** What belongs to a heartbeat beside that. */
  facts?(): Partial<HeartbeatPayload>;
  /** Tries what its work needs, without starting it. */
  check(): Promise<CollectorCheck>;
}

/** A command that came from the server, as the frame has it; nothing in it was checked. */
export interface IncomingCommand {
  readonly id: string;
  readonly command: string;
  readonly params: Record<string, unknown>;
  readonly ttl_s: number;
  /** When the frame came, monotonic milliseconds. */
  readonly receivedMs: number;
}
