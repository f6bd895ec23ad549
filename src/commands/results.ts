import type { TransactionSql } from "postgres";
import type { IngestOutcome, ResultRecorder } from "../ingest/model.ts";
import type { CommandStore } from "./store.ts";

export interface ResultRecorderDeps {
  store: CommandStore;
  /** Within the transaction, so that whoever waits hears of it when it is committed, and only then. */
  notify: (tx: TransactionSql, commandId: string) => Promise<void>;
}

/** Agents' results to rows. A repeat has no effect, and is acknowledged like the first. */
export function createResultRecorder({ store, notify }: ResultRecorderDeps): ResultRecorder {
  return {
    async record(tx, results) {
      const outcomes: IngestOutcome[] = [];
      for (const { agentId, result } of results) {
        const effect = await store.recordResult(tx, agentId, result);
        if (effect === "stored" || effect === "late") await notify(tx, result.command_id);
        outcomes.push(
          effect === "unknown"
            ? { ok: false, reason: "bad_payload", message: "command_id: this agent was sent no such command" }
            : { ok: true },
        );
      }
      return outcomes;
    },
  };
}
