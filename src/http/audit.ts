import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { AuditTrail } from "../incidents/audit-store.ts";
import type { AuditLine } from "../incidents/model.ts";
import { readActor } from "../protocol/actors.ts";
import { invalid } from "./problems.ts";
import * as api from "./schemas.ts";

const TEXT_CHARS_MAX = 255;

/** Who did what, when, and from where. */
export type AuditEntryView = Static<typeof AuditEntry>;
const AuditEntry = api.resource("AuditEntry", {
  id: Type.Integer(),
  at: api.Instant,
  kind: Type.String({ description: "what was done, such as token.created, command, decided, silence.created" }),
  actor: Type.String({
    description: "who, in one word: api:<name>@<address>, oidc:<name>@<address>, slack:<user>, cli:<user>, model",
  }),
  name: api.nullable(Type.String({ description: "of the token, the person or the user" })),
  address: api.nullable(Type.String({ description: "from where, if by the API or the page" })),
  agent_id: api.nullable(api.Uuid),
  host: api.nullable(Type.String()),
  incident_id: api.nullable(api.IncidentId),
  command_id: api.nullable(api.Uuid),
  data: api.nullable(api.AnyObject),
});

const words = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: TEXT_CHARS_MAX, description }));
const moment = Type.Optional(Type.String({ maxLength: 40, description: "a time such as 2026-01-31T18:00:00Z" }));
const QUERY = api.pageQuery(api.RowIdText, {
  who: words(
    "a token's or a person's name, a Slack user, or a whole actor; system or agent for what the server or a host did",
  ),
  what: words("a kind; * stands for any characters: token.*"),
  from: words("an address"),
  agent_id: Type.Optional(api.Uuid),
  incident_id: Type.Optional(api.IncidentIdText),
  since: moment,
  until: moment,
});

/** Who did what: all that people, programs and models changed, and who came in or was refused. */
export function auditRoutes(trail: AuditTrail) {
  const { viewer } = api.describing("audit");
  return new Elysia({ name: "audit", prefix: "/v1", normalize: false }).get(
    "/audit",
    async ({ query, request, set }) => {
      const { who, what, from, agent_id: agentId, incident_id: incidentId, cursor } = query;
      const [since, until] = [momentOf(query, "since"), momentOf(query, "until")];
      const wanted = { limit: api.limitOf(query), cursor, who, what, address: from, agentId, incidentId, since, until };
      const { lines, nextCursor } = await trail.find(wanted);
      return api.pageOf(lines.map(entryOf), nextCursor, { request, set });
    },
    viewer(
      "Who did what, when and from where, newest first; kept for RETENTION",
      { query: QUERY },
      api.answers(200, Type.Array(AuditEntry)),
    ),
  );
}

function entryOf(line: AuditLine) {
  const { name, address } = readActor(line.actor);
  return { ...line, name, address };
}

function momentOf(query: { since?: string; until?: string }, field: "since" | "until"): Date | undefined {
  const text = query[field];
  if (text === undefined) return undefined;
  const ms = api.instantMs(text);
  if (Number.isNaN(ms)) throw invalid([{ field, message: "expected a time such as 2026-01-31T18:00:00Z" }]);
  return new Date(ms);
}
