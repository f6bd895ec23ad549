import type { IngestService } from "../ingest/model.ts";
import type { Log } from "../lib/log.ts";
import type { AlertPayload } from "../protocol/frames.ts";

/** What the server itself has to tell of an agent. */
export interface Told {
  agentId: string;
  messageId: string;
  uuid: string;
  formerUuid?: string;
  alert: AlertPayload;
  ageMs: number;
}

interface TellerDeps {
  ingest: Pick<IngestService, "accept">;
  /** For the log: "a lost agent could not be told". */
  failed: string;
  /** One is stored, or will never be. */
  settled: () => void;
  log: Log;
}

/** Tells by ordinary alerts of the server's, and remembers which are under way and which are stored. */
export function createTeller({ ingest, failed, settled, log }: TellerDeps) {
  /** Uuids that ingest has and has not settled. */
  const underWay = new Set<string>();
  /** Uuids that are stored, of what was looked at last: they need not be looked up again. */
  let stored = new Set<string>();

  return {
    /** From now on these are looked at; `find` says which of some are stored. */
    async refresh(all: readonly Told[], find: (some: readonly Told[]) => Promise<Set<string>>): Promise<void> {
      const known = all.filter(({ uuid }) => stored.has(uuid)).map(({ uuid }) => uuid);
      const unknown = all.filter(({ uuid }) => !stored.has(uuid));
      const found = unknown.length > 0 ? await find(unknown) : [];
      stored = new Set([...known, ...found]);
    },
    isStored: ({ uuid }: Pick<Told, "uuid">): boolean => stored.has(uuid),
    /** One that is under way already is not told again. */
    tell({ agentId, messageId, uuid, alert, ageMs }: Told): void {
      if (underWay.has(uuid)) return;
      underWay.add(uuid);
      ingest.accept({
        kind: "alert",
        origin: "server",
        agentId,
        messageId,
        alert,
        ageMs,
        sizeBytes: alert.message.length,
        settled: (outcome) => {
          underWay.delete(uuid);
          if (!outcome.ok) log.error({ agent: agentId, reason: outcome.message }, failed);
          settled();
        },
      });
    },
  };
}

/** As people call an agent. */
export function nameOf({ hostname, agentId }: { hostname: string | null; agentId: string }): string {
  return hostname ?? `agent ${agentId}`;
}

/** "2026-01-31 18:00:00 UTC". */
export function inWords(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
