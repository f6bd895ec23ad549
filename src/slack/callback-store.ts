import { createHmac, timingSafeEqual } from "node:crypto";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Sql } from "postgres";
import { sha256Hex } from "../lib/hash.ts";
import { cleanJson } from "../protocol/text.ts";
import { DialogSubmission, hasOrigin } from "./feedback-dialog.ts";

const Id = Type.String({ minLength: 1, maxLength: 64 });
const Text = Type.String({ maxLength: 4_000 });

/** A pressed button or menu, as far as it is looked at; everything else in it is left alone. */
const BlockActions = Type.Object({
  type: Type.Literal("block_actions"),
  api_app_id: Type.Optional(Id),
  user: Type.Object({ id: Id, team_id: Type.Optional(Id) }),
  team: Type.Object({ id: Id }),
  channel: Type.Object({ id: Id }),
  container: Type.Object({ type: Type.Literal("message"), message_ts: Id, channel_id: Id }),
  message: Type.Optional(Type.Object({ bot_id: Type.Optional(Id), app_id: Type.Optional(Id) })),
  response_url: Type.Optional(Text),
  /** Opens a dialog within 3 s. */
  trigger_id: Type.Optional(Text),
  actions: Type.Array(
    Type.Object({
      action_id: Text,
      block_id: Text,
      value: Type.Optional(Text),
      selected_option: Type.Optional(Type.Union([Type.Null(), Type.Object({ value: Text })])),
    }),
    { minItems: 1, maxItems: 25 },
  ),
});
export type BlockActions = Static<typeof BlockActions>;

/** What a person did in Slack. */
export type Callback = BlockActions | DialogSubmission;

/**
 * The payload as what a person did, without all else that came with it, and fit to be kept; undefined for whatever else Slack
 * sends.
 */
export function asCallback(payload: unknown): Callback | undefined {
  const schema = [BlockActions, DialogSubmission].find((one) => Value.Check(one, payload));
  const callback = schema && (cleanJson(Value.Clean(schema, structuredClone(payload))) as Callback);
  return callback?.type === "view_submission" && !hasOrigin(callback) ? undefined : callback;
}

/** Older, or so far ahead of our clock, and it may be a recorded one. */
const WINDOW_MS = 5 * 60_000;

/** A callback as it came: the raw body, before anything was decoded. */
export interface SignedCallback {
  readonly body: string;
  readonly timestamp: string | null;
  readonly signature: string | null;
}

/**
 * Checks Slack's signature, version 0: an HMAC over "v0:timestamp:body", compared in constant time. `hash` stands for the callback
 * in the store of those that were seen.
 */
export function verifySignature(secret: string, callback: SignedCallback, nowMs: number) {
  const refused = (reason: "unsigned" | "stale" | "forged", message: string) =>
    ({ ok: false, reason, message }) as const;
  const { body, timestamp, signature } = callback;
  if (timestamp === null || signature === null) return refused("unsigned", "Slack's signature is missing");
  if (!/^\d{1,12}$/.test(timestamp)) return refused("unsigned", "the timestamp is no number of seconds");
  const expected = `v0=${createHmac("sha256", secret).update(`v0:${timestamp}:${body}`).digest("hex")}`;
  if (!isEqual(signature, expected)) return refused("forged", "the signature is wrong");
  const ageMs = Math.abs(nowMs - Number(timestamp) * 1000);
  if (ageMs > WINDOW_MS) return refused("stale", "the callback is older than 5 minutes, or the clocks differ");
  return { ok: true, hash: sha256Hex(expected) } as const;
}

/** Texts of other lengths are no signature at all: that may be seen. */
function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Who takes a press has this long; then another may. */
const CLAIM_SECONDS = 15;
const CLAIM_MAX = 20;

/** A press that is kept until something came of it. */
export interface KeptPress {
  readonly hash: string;
  readonly press: Callback;
  readonly ageS: number;
}

/** The SQL of Slack's callbacks, over all nodes and restarts. */
export function createCallbackStore(sql: Sql) {
  return {
    /**
     * Keeps a callback, with what was pressed, where that is anything; false when it was taken before. What was seen more than 10
     * minutes ago and is handled is forgotten: its signature is stale.
     */
    async keep(hash: string, press: Callback | undefined): Promise<boolean> {
      await sql`delete from slack_callbacks where seen_at < now() - interval '10 minutes' and due_at is null`;
      const payload = press === undefined ? null : sql.json(press as never);
      const kept = await sql`
        insert into slack_callbacks (hash, payload, due_at)
        values (${hash}, ${payload}, case when ${press !== undefined}::boolean then now() + make_interval(secs => ${CLAIM_SECONDS}) end)
        on conflict do nothing returning hash`;
      return kept.count > 0;
    },

    /** Something came of it. */
    async settle(hash: string): Promise<void> {
      await sql`update slack_callbacks set payload = null, due_at = null where hash = ${hash}`;
    },

    /** Takes what is due, for this caller alone for a while; and the milliseconds until more is due, null where there is none. */
    async claimDue(): Promise<{ taken: KeptPress[]; nextMs: number | null }> {
      const [row] = await sql<{ taken: KeptPress[]; nextMs: number | null }[]>`
        with taken as (
          update slack_callbacks set due_at = now() + make_interval(secs => ${CLAIM_SECONDS})
          where hash in (
            select hash from slack_callbacks where due_at <= now() order by due_at limit ${CLAIM_MAX} for update skip locked)
          returning hash, payload as press, extract(epoch from now() - seen_at)::float8 as "ageS")
        select (select coalesce(jsonb_agg(taken), '[]') from taken) as taken,
          (select extract(epoch from min(due_at) - clock_timestamp())::float8 * 1000 from slack_callbacks
            where due_at is not null and hash not in (select hash from taken)) as "nextMs"`;
      return row ?? { taken: [], nextMs: null };
    },
  };
}

export type CallbackStore = ReturnType<typeof createCallbackStore>;
