import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { PeerLookup } from "../lib/addresses.ts";
import type { EventStreams, Listener } from "./event-streams.ts";
import { HttpProblem } from "./problems.ts";
import * as api from "./schemas.ts";

/** Longer than any cursor. */
const CURSOR_CHARS_MAX = 8_000;
/** When a place may be free. */
const RETRY_AFTER_S = 15;

const Events = Type.String({ contentMediaType: "text/event-stream" });
const DESCRIPTION = `Server-sent events. First \`hello\` {version, at, access}; then \`incident\` (a ShortIncident), \`agent\` (an Agent;
a heartbeat alone is no change), \`command\` (a Command without parameters and output), \`timeline\` (an AuditLine), of every node, and
\`alive\` {at} every 15 s, beside a comment, while the database answers. Each has an id: with it, as \`Last-Event-ID\` or \`after\`, a
new stream tells what was missed. \`reset\`: that is too much, read the lists anew. An event may come twice; incidents have a revision.`;

/** What tells, later on, whether a request would still be let in. */
export type AccessWatch = (request: Request, server: PeerLookup | null) => Listener["isAllowed"];

/** Changes as they happen. */
export function eventRoutes(streams: EventStreams, watchAccess: AccessWatch) {
  const query = api.input({
    after: Type.Optional(Type.String({ maxLength: CURSOR_CHARS_MAX, description: "the last event's id" })),
  });
  const described = api
    .describing("events")
    .viewer("Changes of incidents, agents and commands as they happen", { query }, api.answers(200, Events));
  return new Elysia({ name: "events", prefix: "/v1", normalize: false }).get(
    "/events",
    async ({ query, request, server }) => {
      const after = request.headers.get("last-event-id") ?? query.after;
      const stream = await streams.open({
        after: after === "" ? undefined : after,
        isAllowed: watchAccess(request, server),
        signal: request.signal,
      });
      if (!stream) throw tooMany();
      return new Response(stream, { headers: { "content-type": "text/event-stream", "x-accel-buffering": "no" } });
    },
    { ...described, detail: { ...described.detail, description: DESCRIPTION } },
  );
}

function tooMany(): HttpProblem {
  const headers = { "retry-after": String(RETRY_AFTER_S) };
  return new HttpProblem(503, "too_many_streams", "there are too many streams here; try again later", { headers });
}
