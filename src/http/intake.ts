/**
 * What integrations send: each request proves itself by its integration's token, which is good for nothing else. It is answered once
 * all of it is durable; who is told to come again (503) sends the same again, and nothing of it counts twice.
 */
import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { readMessage } from "../integrations/alertmanager.ts";
import { IntakeBusy } from "../integrations/intake.ts";
import type { AlertIntake, BroughtAlert, BroughtOutcome, Sender } from "../integrations/model.ts";
import type { ClientAddress, PeerLookup } from "../lib/addresses.ts";
import type { Clock } from "../lib/clock.ts";
import { hashUuid } from "../lib/hash.ts";
import { isRecord, jsonOf } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import { readAlert } from "../protocol/decode.ts";
import { gunzip } from "../protocol/gunzip.ts";
import { ALERT_AGE_SECONDS_MAX, MESSAGE_ID_CHARS_MAX } from "../protocol/limits.ts";
import { ROLE_FIELD } from "../protocol/roles.ts";
import { cleanJson, isCleanText } from "../protocol/text.ts";
import { ALERTMANAGER_PATH, ALERTS_PATH, PING_PATH } from "./integration-setup.ts";
import { badJson, type FieldError, HttpProblem, invalid, tooLarge } from "./problems.ts";
import * as api from "./schemas.ts";
import type { SenderOf } from "./senders.ts";

/** A thousand alerts with some kilobytes of logs; more comes in more requests. */
export const INTAKE_BODY_BYTES_MAX = 8 * 1024 * 1024;
const ALERTS_MAX = 1_000;
const KEY_CHARS_MAX = 255;

/** Whose last parts are a token, and what is said by it. */
const INTAKES = [ALERTMANAGER_PATH, PING_PATH];

/** Whether a request brings what an integration sends, by its path: it has a credential, and limits, of its own. */
export function isIntakePath(path: string): boolean {
  return [ALERTS_PATH, ALERTMANAGER_PATH].includes(path) || INTAKES.some((one) => path.startsWith(`${one}/`));
}

export interface IntakeRouteDeps {
  senderOf: SenderOf;
  intake: AlertIntake;
  addressOf: ClientAddress;
  clock: Pick<Clock, "now">;
  log: Log;
}

const Outcome = Type.Object({
  status: api.oneOf(["accepted", "refused"]),
  code: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
});
const Taken = api.resource("TakenAlerts", {
  accepted: Type.Integer({ description: "durable now, or before" }),
  refused: Type.Integer({ description: "for good: sending them again does not help" }),
  alerts: Type.Array(Outcome, { description: "one for each alert, in order" }),
  truncated: Type.Optional(Type.Integer({ description: "alerts that the sender itself left out" })),
});

/** An alert that can be taken, or why not. */
type Read = { ok: true; brought: BroughtAlert } | { ok: false; code: string; field: string; message: string };

/** The routes by which integrations' alerts come. */
export function intakeRoutes(deps: IntakeRouteDeps) {
  const { senderOf, intake, addressOf, clock, log } = deps;

  async function take(sender: Sender, reads: readonly Read[]): Promise<BroughtOutcome[]> {
    try {
      const good = reads.flatMap((one) => (one.ok ? [one.brought] : []));
      const outcomes = good.length === 0 ? [] : await intake.take(sender, good);
      return reads.map((one) => {
        if (one.ok) return outcomes.shift() as BroughtOutcome;
        return { ok: false, code: one.code, message: `${one.field}: ${one.message}` };
      });
    } catch (error) {
      if (!(error instanceof IntakeBusy)) throw error;
      const headers = { "retry-after": String(error.retryAfterS) };
      throw new HttpProblem(503, error.reason, error.message, { headers });
    }
  }

  async function answer(sender: Sender, reads: readonly Read[]) {
    const outcomes = await take(sender, reads);
    const refused = outcomes.filter((one) => !one.ok);
    if (refused.length > 0) {
      const [first] = refused;
      const fields = { integration: sender.name, refused: refused.length, first: first?.ok === false && first.message };
      log.warn(fields, "an integration sent what cannot be taken");
    }
    if (outcomes.length > 0 && refused.length === outcomes.length) throw invalid(fieldErrorsOf(reads, outcomes));
    return {
      accepted: outcomes.length - refused.length,
      refused: refused.length,
      alerts: outcomes.map((one) =>
        one.ok ? { status: "accepted" as const } : { status: "refused" as const, code: one.code, message: one.message },
      ),
    };
  }

  async function takeAlerts(request: Request, address: string) {
    const sender = await senderOf(request, address, "generic");
    const value = await readBody(request);
    const isMany = Array.isArray(value);
    const items: unknown[] = isMany ? value : [value];
    if (items.length === 0 || items.length > ALERTS_MAX)
      throw invalid([{ field: "body", message: `expected an alert, or an array of 1 to ${ALERTS_MAX}` }]);
    const key = keyOf(request);
    const nowMs = clock.now();
    const reads = items.map((item, at) => readItem(item, { field: isMany ? `${at}` : "", key: keyAt(key, at), nowMs }));
    return answer(sender, reads);
  }

  async function takeMessage(request: Request, address: string, token?: string) {
    const sender = await senderOf(request, address, "alertmanager", token);
    const { brought, faults, truncated } = readMessage(await readBody(request), clock.now());
    const bad = faults.map((fault): Read => ({ ok: false, code: "bad_payload", ...fault }));
    const taken = await answer(sender, [...brought.map((one): Read => ({ ok: true, brought: one })), ...bad]);
    return truncated === 0 ? taken : { ...taken, truncated };
  }

  const described = (summary: string, description: string) => ({
    // The body is read once it is known whose it is.
    parse: "none" as const,
    response: takenAnswers(),
    detail: {
      tags: ["integrations"],
      summary,
      description,
      security: [{ integration: [] }],
      [ROLE_FIELD]: "everybody" as const,
    },
  });
  const webhook = described(
    "Alertmanager's webhook, and Grafana's",
    "Form 4. The token of an integration of the kind alertmanager comes as `Authorization: Bearer`, or as the last part of the path.",
  );
  type Asked = { request: Request; server: PeerLookup | null; set: { status?: number | string } };
  const accepted = async <T>({ set }: Pick<Asked, "set">, work: Promise<T>): Promise<T> => {
    const taken = await work;
    set.status = 202;
    return taken;
  };
  return new Elysia({ name: "intake", normalize: false })
    .post(
      ALERTS_PATH,
      ({ request, server, set }) => accepted({ set }, takeAlerts(request, addressOf(request, server))),
      described(
        "Alerts of scripts and programs: one, or an array of up to 1,000, in the agents' payload form",
        "With the token of an integration of the kind generic. Each may have an `id`; else, with an Idempotency-Key, what is sent again counts once.",
      ),
    )
    .post(
      ALERTMANAGER_PATH,
      ({ request, server, set }) => accepted({ set }, takeMessage(request, addressOf(request, server))),
      webhook,
    )
    .post(
      `${ALERTMANAGER_PATH}/:token`,
      ({ request, server, set, params }) =>
        accepted({ set }, takeMessage(request, addressOf(request, server), params.token)),
      { ...webhook, response: takenAnswers() },
    );
}

/** A copy for each route. */
const takenAnswers = () => api.answers(202, Taken, 400, 413, 415, 422);

/** The body's JSON, however it says what it is: curl calls it a form. Text that cannot be stored is made so. */
async function readBody(request: Request): Promise<unknown> {
  if (Number(request.headers.get("content-length") ?? 0) > INTAKE_BODY_BYTES_MAX) throw tooLarge(INTAKE_BODY_BYTES_MAX);
  const sent = new Uint8Array(await request.arrayBuffer());
  if (sent.length > INTAKE_BODY_BYTES_MAX) throw tooLarge(INTAKE_BODY_BYTES_MAX);
  const text = textOf(plainOf(sent, request.headers.get("content-encoding")));
  const value = jsonOf(text);
  if (value === undefined) throw badJson();
  return text.includes("\\u") ? cleanJson(value) : value;
}

function plainOf(sent: Uint8Array<ArrayBuffer>, encoding: string | null): Uint8Array {
  if (encoding === null || encoding.toLowerCase() === "identity") return sent;
  if (encoding.toLowerCase() !== "gzip")
    throw new HttpProblem(415, "unsupported_encoding", "a body may be compressed by gzip alone");
  const plain = gunzip(sent, INTAKE_BODY_BYTES_MAX);
  if (plain === "too_large") throw tooLarge(INTAKE_BODY_BYTES_MAX);
  if (plain === "bad_gzip") throw new HttpProblem(400, "bad_gzip", "the body is not gzip");
  return plain;
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw badJson();
    throw error;
  }
}

function keyOf({ headers }: Request): string | null {
  const key = headers.get("idempotency-key");
  if (key === null || (key !== "" && key.length <= KEY_CHARS_MAX)) return key;
  throw invalid([{ field: "Idempotency-Key", message: `expected 1 to ${KEY_CHARS_MAX} characters` }]);
}

/** An alert's id of its own would not be mistaken for one: it has no NUL. */
const keyAt = (key: string | null, at: number) => (key === null ? null : hashUuid(`key\0${key}\0${at}`));

function readItem(item: unknown, about: { field: string; key: string | null; nowMs: number }): Read {
  const fieldOf = (message: string) => [about.field, /^([\w.]+): /.exec(message)?.[1]].filter(Boolean).join(".");
  const refuse = (message: string): Read => {
    const field = fieldOf(message) || "body";
    return { ok: false, code: "bad_payload", field, message: message.replace(/^[\w.]+: /, "") };
  };
  if (!isRecord(item)) return refuse("Expected object");
  const { id = null } = item;
  if (id !== null && !isMessageId(id)) return refuse(`id: Expected 1 to ${MESSAGE_ID_CHARS_MAX} characters`);
  const read = readAlert(item);
  if (!read.ok) return refuse(read.message);
  const { alert } = read;
  const sizeBytes = Buffer.byteLength(alert.message) + Buffer.byteLength(alert.logs ?? "");
  const hosts = alert.hostname === undefined ? [] : [alert.hostname];
  const ageMs = ageOf(alert.at, about.nowMs);
  return { ok: true, brought: { alert, messageId: id ?? about.key, hosts, ageMs, sizeBytes } };
}

function isMessageId(id: unknown): id is string {
  return typeof id === "string" && id.length > 0 && id.length <= MESSAGE_ID_CHARS_MAX && isCleanText(id);
}

/** As of an agent's frame: what lies ahead, or too far back, is taken for now. */
function ageOf(at: number | undefined, nowMs: number): number {
  const ageMs = at === undefined ? 0 : nowMs - at * 1000;
  return ageMs >= 0 && ageMs <= ALERT_AGE_SECONDS_MAX * 1000 ? ageMs : 0;
}

function fieldErrorsOf(reads: readonly Read[], outcomes: readonly BroughtOutcome[]): FieldError[] {
  return reads.flatMap((one, at) => {
    const outcome = outcomes[at];
    if (!one.ok) return [{ field: one.field, message: one.message }];
    return outcome?.ok === false ? [{ field: `${at}`, message: outcome.message }] : [];
  });
}
