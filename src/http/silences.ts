import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { ActorOf } from "../lib/addresses.ts";
import type { Clock } from "../lib/clock.ts";
import { isSelective } from "../lib/glob.ts";
import { type NewSilence, SILENCE_ENDS, type SilencePatterns, type SilenceService } from "../silences/model.ts";
import { existing, type FieldError, HttpProblem, invalid } from "./problems.ts";
import * as api from "./schemas.ts";

const PATTERN_CHARS_MAX = 255;
const COMMENT_CHARS_MAX = 1_000;
/** A silence that is meant to last longer has no end. */
const UNTIL_DAYS_MAX = 3_650;
const DAY_MS = 86_400_000;

/** What is muted, by whom, and until when. */
export type SilenceView = Static<typeof SilenceSchema>;
const SilenceSchema = api.resource("Silence", {
  id: api.IncidentId,
  agent: api.nullable(Type.String({ description: "over the agent's id or its host name" })),
  type: api.nullable(Type.String()),
  source: api.nullable(Type.String()),
  fingerprint: api.nullable(api.Uuid),
  incident_id: api.nullable(api.IncidentId),
  ends: api.oneOf(SILENCE_ENDS),
  until: api.nullable(api.Instant),
  comment: api.nullable(Type.String()),
  actor: Type.String(),
  created_at: api.Instant,
  ended_at: api.nullable(api.Instant),
});

/** What a silence speaks of. */
export type SilenceFitView = Static<typeof SilenceFitSchema>;
const SilenceFitSchema = api.resource("SilenceFit", {
  total: Type.Integer({ description: "open incidents" }),
  is_exact: Type.Boolean({ description: "false where more are open than are looked through" }),
  newest: Type.Array(
    Type.Object(
      { id: api.IncidentId, agent_id: api.Uuid, host: Type.String(), type: Type.String(), source: Type.String() },
      { additionalProperties: false },
    ),
    { description: "the last few that opened" },
  ),
});

const ABOUT = {
  agent: "a pattern over the agent's id or host name",
  type: "a pattern over the incident's type",
  source: "a pattern over the incident's source",
} as const;

const describedPattern = (about: string) => `${about}: at most ${PATTERN_CHARS_MAX} characters, * and ? stand for any`;

function pattern(about: string) {
  const description = describedPattern(about);
  return Type.Optional(Type.Union([Type.String({ maxLength: PATTERN_CHARS_MAX }), Type.Null()], { description }));
}

function patternText(about: string) {
  return Type.Optional(Type.String({ maxLength: PATTERN_CHARS_MAX, description: describedPattern(about) }));
}

const PATTERNS = api.input({
  agent: patternText(ABOUT.agent),
  type: patternText(ABOUT.type),
  source: patternText(ABOUT.source),
});

const BODY = api.input({
  agent: pattern(ABOUT.agent),
  type: pattern(ABOUT.type),
  source: pattern(ABOUT.source),
  until: Type.Optional(
    Type.Union([Type.String(), Type.Null()], {
      description: "a time in the future such as 2026-01-31T18:00:00Z; null or absent: until it is deleted",
    }),
  ),
  comment: Type.Optional(
    Type.Union([Type.String({ maxLength: COMMENT_CHARS_MAX }), Type.Null()], {
      description: `at most ${COMMENT_CHARS_MAX} characters`,
    }),
  ),
});

/** What is recorded and explained, but not announced. */
export function silenceRoutes(silences: SilenceService, actorOf: ActorOf, clock: Clock) {
  const { viewer, operator } = api.describing("silences");
  return new Elysia({ name: "silences", prefix: "/v1", normalize: false })
    .get(
      "/silences",
      async ({ query, request, set }) => {
        const { cursor, ended } = query;
        const page = await silences.list({ cursor, limit: api.limitOf(query), ended: ended === "true" });
        return api.pageOf(page.silences, page.nextCursor, { request, set });
      },
      viewer(
        "Silences, newest first; those that are over with ended=true",
        { query: api.pageQuery(api.IncidentIdText, { ended: Type.Optional(api.oneOf(["true", "false"])) }) },
        api.answers(200, Type.Array(SilenceSchema)),
      ),
    )
    .post(
      "/silences",
      async ({ body, request, server, set }) => {
        const made = await silences.create(silenceOf(body, clock.now()), actorOf(request, server));
        if (!made) throw new HttpProblem(409, "too_many_silences", "there are too many silences; end some first");
        set.status = 201;
        return api.onWire(made);
      },
      operator(
        "A new silence: incidents that fit all its patterns are not announced",
        { body: BODY },
        api.answers(201, SilenceSchema, 409),
      ),
    )
    .get(
      "/silences/fit",
      ({ query }) => {
        const patterns = patternsOf(query);
        const fields = noPatternErrors(patterns);
        if (fields.length > 0) throw invalid(fields);
        return silences.fit(patterns);
      },
      viewer(
        "Which open incidents a silence by these patterns would speak of",
        { query: PATTERNS },
        api.answers(200, SilenceFitSchema),
      ),
    )
    .get(
      "/silences/:id/fit",
      async ({ params }) => existing("silence", await silences.fitOf(params.id)),
      viewer(
        "Which open incidents an open silence speaks of",
        { params: api.NUMBER_PARAMS },
        api.answers(200, SilenceFitSchema, 404),
      ),
    )
    .delete(
      "/silences/:id",
      async ({ params, request, server, set }) => {
        existing("silence", await silences.end(params.id, actorOf(request, server)));
        set.status = 204;
      },
      operator(
        "Ends a silence; what it held back and is still open is announced",
        { params: api.NUMBER_PARAMS },
        api.answers(204, Type.Void(), 404),
      ),
    );
}

type Body = { [K in "agent" | "type" | "source" | "until" | "comment"]?: string | null };

/** What was asked for, or a problem that names the fields. */
function silenceOf(body: Body, nowMs: number): NewSilence {
  const silence = patternsOf(body);
  const until = textOf(body.until);
  const fields = [...patternErrors(silence, until), ...untilErrors(until, nowMs)];
  if (fields.length > 0) throw invalid(fields);
  return { ...silence, until: until === null ? null : new Date(until), comment: textOf(body.comment) };
}

const textOf = (text: string | null | undefined) => text?.trim() || null;

function patternsOf({ agent, type, source }: Body): SilencePatterns {
  return { agent: textOf(agent), type: textOf(type), source: textOf(source) };
}

function noPatternErrors(patterns: SilencePatterns): FieldError[] {
  if (Object.values(patterns).some((one) => one !== null)) return [];
  const message = "at least one of agent, type and source is needed; * stands for all";
  return ["agent", "type", "source"].map((field) => ({ field, message }));
}

/** A silence over everything is said in so many words, and has an end: the one that is forgotten would hide all that comes. */
function patternErrors(patterns: SilencePatterns, until: string | null): FieldError[] {
  const missing = noPatternErrors(patterns);
  if (missing.length > 0) return missing;
  if (until !== null || Object.values(patterns).some(isSelective)) return [];
  return [{ field: "until", message: "a silence over everything needs an end" }];
}

function untilErrors(until: string | null, nowMs: number): FieldError[] {
  if (until === null) return [];
  const ms = api.instantMs(until);
  if (Number.isNaN(ms)) return [{ field: "until", message: "expected a time such as 2026-01-31T18:00:00Z" }];
  if (ms <= nowMs) return [{ field: "until", message: "is in the past" }];
  if (ms > nowMs + UNTIL_DAYS_MAX * DAY_MS)
    return [{ field: "until", message: `is more than ${UNTIL_DAYS_MAX} days away` }];
  return [];
}
