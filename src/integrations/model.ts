import type { JobSpec } from "../cron/model.ts";
import type { AlertPayload } from "../protocol/frames.ts";

/** What alerts beside agents: Alertmanager or Grafana by their webhook, a job by its pings, or whatever sends the agents' payloads. */
export const INTEGRATION_KINDS = ["alertmanager", "cron", "generic"] as const;
export type IntegrationKind = (typeof INTEGRATION_KINDS)[number];

/** A name that people give an integration. */
export const INTEGRATION_NAME = "^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,62}[A-Za-z0-9]$|^[A-Za-z0-9]$";

/** An integration as people see it. */
export interface Integration {
  id: string;
  kind: IntegrationKind;
  name: string;
  created_at: Date;
  created_by: string;
  /** To the minute. */
  last_used_at: Date | null;
}

/** Whose token something came with. */
export type Sender = Pick<Integration, "id" | "kind" | "name">;

/** An integration before it is made; a job's says what is expected of it. */
export interface WantedIntegration {
  readonly kind: IntegrationKind;
  readonly name: string;
  /** Of the kind cron. */
  readonly job?: JobSpec;
}

export type IntegrationCreation =
  | { ok: true; made: Integration; token: string }
  | { ok: false; reason: "name_taken" | "too_many_integrations"; message: string };

/** The integrations, and whose token is whose. */
export interface IntegrationService {
  /** Whose token it is; undefined when it is unknown or revoked, which it is at once on every node. */
  find(token: string): Promise<Sender | undefined>;
  /** Those that are good, newest first. */
  list(page: { limit: number; cursor?: string | undefined }): Promise<{
    integrations: Integration[];
    nextCursor?: string;
  }>;
  /** A new one; its token is shown this once. */
  create(wanted: WantedIntegration, actor: string): Promise<IntegrationCreation>;
  /** Another token for it, shown this once; the old one is no good from then on. Undefined when there is none of this id. */
  rotate(id: string, actor: string): Promise<{ integration: Integration; token: string } | undefined>;
  /** False when there is none of this id. Its incidents stay. */
  revoke(id: string, actor: string): Promise<boolean>;
}

/** An alert that an integration brings. */
export interface BroughtAlert {
  readonly alert: AlertPayload;
  /** The same for what is sent again; null where nobody can tell. */
  readonly messageId: string | null;
  /** The sender's own name of the problem; undefined where type, source and message tell problems apart. */
  readonly key?: string;
  /** Names that may be of the host that it is about, the likeliest first. */
  readonly hosts: readonly string[];
  /** How long ago it happened, milliseconds. */
  readonly ageMs: number;
  /** About what it holds in memory, bytes. */
  readonly sizeBytes: number;
}

/** What became of an alert that was brought: it is durable, or refused for good. */
export type BroughtOutcome = { ok: true } | { ok: false; code: string; message: string };

/** Takes alerts that integrations bring. */
export interface AlertIntake {
  /**
   * One outcome for each, in order, once all are final. Throws an IntakeBusy where the sender is to send all of it again, later.
   */
  take(sender: Sender, alerts: readonly BroughtAlert[]): Promise<BroughtOutcome[]>;
}
