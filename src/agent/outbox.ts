import type { Log } from "../lib/log.ts";
import type { ResultPayload } from "../protocol/payloads.ts";
import type { Delivery } from "./delivery.ts";
import { alertFrame, resultFrame, resultId } from "./frames.ts";
import type { HostAlert } from "./model.ts";
import type { Spool } from "./spool-model.ts";
import type { SpoolFrame } from "./spool-record.ts";

/** What the agent has to say goes through here. */
export interface Outbox {
  /** On disk when it resolves. */
  send(frame: SpoolFrame): Promise<void>;
  /** The same for what a collector saw. Never rejects. */
  report(alert: HostAlert): Promise<void>;
  /** The same for what became of a command; a result that is on its way already is not sent twice. */
  result(result: ResultPayload): Promise<void>;
}

/** Into the spool, and from there to the server. */
export function createOutbox({ spool, delivery, log }: { spool: Spool; delivery: Delivery; log: Log }): Outbox {
  /** It may be on its way while it is still being written. */
  async function send(frame: SpoolFrame): Promise<void> {
    const saved = spool.add(frame);
    delivery.wake();
    await saved;
  }

  return {
    send,
    async report(alert) {
      log.info({ type: alert.type, source: alert.source, state: alert.state }, "alert");
      try {
        await send(alertFrame(alert));
      } catch (error) {
        log.error({ error, source: alert.source }, "an alert could not be kept");
      }
    },
    async result(result) {
      if (!spool.has(resultId(result.command_id))) await send(resultFrame(result));
    },
  };
}
