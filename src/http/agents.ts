import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { AgentService } from "../fleet/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import { existing } from "./problems.ts";
import * as api from "./schemas.ts";

const AGENT = {
  id: api.Uuid,
  hostname: api.nullable(Type.String()),
  status: api.oneOf(["online", "offline"]),
  last_seen_at: api.nullable(api.Instant),
  meta: api.nullable(api.AnyObject),
  created_at: api.Instant,
  connected_at: api.nullable(api.Instant),
  shared_with: Type.Array(Type.String(), { description: "other hosts that use the same token" }),
};
const Agent = api.resource("Agent", AGENT);
const AgentWithToken = api.resource("AgentWithToken", {
  ...AGENT,
  token: Type.String({ description: "the agent's secret, shown this once" }),
});
const NewAgent = api.input({
  hostname: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: "1 to 255 characters" })),
});

/** The hosts' agents: who there is, and their tokens. */
export function agentRoutes({ agents, actorOf }: { agents: AgentService; actorOf: ActorOf }) {
  const describe = api.describing("agents");
  return new Elysia({ name: "agents", prefix: "/v1/agents", normalize: false })
    .get(
      "/",
      async ({ query, request, set }) => {
        const { agents: page, nextCursor } = await agents.list({ limit: api.limitOf(query), cursor: query.cursor });
        return api.pageOf(page, nextCursor, { request, set });
      },
      describe("All agents, newest first", { query: api.pageQuery(api.Uuid, {}) }, api.answers(200, Type.Array(Agent))),
    )
    .post(
      "/",
      async ({ body, request, server, set }) => {
        const { agent, token } = await agents.create(body, actorOf(request, server));
        set.status = 201;
        return { ...api.onWire(agent), token };
      },
      describe("A new agent and its token", { body: NewAgent }, api.answers(201, AgentWithToken)),
    )
    .get(
      "/:id",
      async ({ params }) => {
        return api.onWire(existing("agent", await agents.get(params.id)));
      },
      describe("One agent", { params: api.UUID_PARAMS }, api.answers(200, Agent, 404)),
    )
    .delete(
      "/:id",
      async ({ params, request, server, set }) => {
        existing("agent", await agents.remove(params.id, actorOf(request, server)));
        set.status = 204;
      },
      describe(
        "Removes an agent: its token is revoked; its incidents stay",
        { params: api.UUID_PARAMS },
        api.answers(204, Type.Void(), 404),
      ),
    )
    .post(
      "/:id/rotate-token",
      async ({ params, request, server }) => {
        const { agent, token } = existing("agent", await agents.rotateToken(params.id, actorOf(request, server)));
        return { ...api.onWire(agent), token };
      },
      describe(
        "A new token in place of the old one, which is revoked",
        { params: api.UUID_PARAMS },
        api.answers(200, AgentWithToken, 404),
      ),
    );
}
