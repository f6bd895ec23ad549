/** Pings of cron and batch jobs: whatever can call a URL can tell how it fares. */
import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { JobService, Ping } from "../cron/model.ts";
import { IntakeBusy } from "../integrations/intake.ts";
import type { ClientAddress, PeerLookup } from "../lib/addresses.ts";
import { ROLE_FIELD } from "../protocol/roles.ts";
import { cleanText } from "../protocol/text.ts";
import { PING_PATH } from "./integration-setup.ts";
import { HttpProblem, invalid, notFound } from "./problems.ts";
import * as api from "./schemas.ts";
import type { SenderOf } from "./senders.ts";

/** Of a longer log the end counts. */
const LOG_BYTES_MAX = 64 * 1024;
const RUN = /^[A-Za-z0-9-]{1,64}$/;
const DURATION_MS_MAX = 10 * 365 * 86_400_000;

export interface PingRouteDeps {
  jobs: Pick<JobService, "ping">;
  senderOf: SenderOf;
  addressOf: ClientAddress;
}

/** The routes by which jobs say that they begin, and how they end. */
export function pingRoutes({ jobs, senderOf, addressOf }: PingRouteDeps) {
  type Asked = { request: Request; server: PeerLookup | null; params: { token: string; how?: string } };

  async function take({ request, server, params }: Asked): Promise<string> {
    const sender = await senderOf(request, addressOf(request, server), "cron", params.token);
    const ping = await pingOf(request, params.how);
    try {
      if (!(await jobs.ping(sender, ping))) throw notFound("job");
    } catch (error) {
      if (!(error instanceof IntakeBusy)) throw error;
      throw new HttpProblem(503, error.reason, error.message, {
        headers: { "retry-after": String(error.retryAfterS) },
      });
    }
    return "OK\n";
  }

  const described = (summary: string) => ({
    // The log is whatever the job printed.
    parse: "none" as const,
    response: api.answers(200, Type.String(), 404, 422),
    detail: { tags: ["integrations"], summary, security: [{ integration: [] }], [ROLE_FIELD]: "everybody" as const },
  });
  const plain = `${PING_PATH}/:token`;
  const how = `${plain}/:how`;
  const success = described("A job ended well; its body may be the last lines of its log");
  const other = described("The same: start, fail, or its exit status");
  return new Elysia({ name: "pings", normalize: false })
    .get(plain, take, success)
    .head(plain, take, success)
    .post(plain, take, success)
    .get(how, take, other)
    .head(how, take, other)
    .post(how, take, other);
}

async function pingOf(request: Request, how: string | undefined): Promise<Ping> {
  const query = new URL(request.url).searchParams;
  const run = query.get("run");
  if (run !== null && !RUN.test(run))
    throw invalid([{ field: "run", message: "expected 1 to 64 letters, digits and -" }]);
  const duration = query.get("duration_ms");
  const durationMs = duration === null ? null : Number(duration);
  if (durationMs !== null && !(Number.isInteger(durationMs) && durationMs >= 0 && durationMs <= DURATION_MS_MAX)) {
    throw invalid([{ field: "duration_ms", message: "expected a whole number of milliseconds" }]);
  }
  return { ...endingOf(how), run, durationMs, log: request.method === "POST" ? await logOf(request) : "" };
}

function endingOf(how: string | undefined): Pick<Ping, "kind" | "exitCode"> {
  if (how === undefined) return { kind: "success", exitCode: null };
  if (how === "start" || how === "fail") return { kind: how, exitCode: null };
  const status = /^\d{1,3}$/.test(how) ? Number(how) : 256;
  if (status > 255)
    throw invalid([{ field: "path", message: "expected start, fail, or an exit status from 0 to 255" }]);
  return { kind: status === 0 ? "success" : "fail", exitCode: status };
}

/** The end of it, as text that can be stored. */
async function logOf(request: Request): Promise<string> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  return cleanText(new TextDecoder().decode(bytes.subarray(-LOG_BYTES_MAX))).trim();
}
