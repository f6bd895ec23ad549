import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { AgentService, CollectorView, Agent as StoredAgent } from "../fleet/model.ts";
import { isOutdated, versionOf } from "../fleet/versions.ts";
import type { ActorOf } from "../lib/addresses.ts";
import { installCommand, type OwnAddress, ownAddress } from "./own-address.ts";
import { existing } from "./problems.ts";
import * as api from "./schemas.ts";

/** A week: longer, and the old token is one that nobody thinks of any more. */
const GRACE_S_MAX = 604_800;

const Collector = api.resource("Collector", {
  name: Type.String({ description: "systemd, docker, host, kernel, logs, checks, or what an agent calls it" }),
  state: Type.Unsafe<CollectorView["state"]>({
    ...api.oneOf(["sees", "cannot", "absent"]),
    description: "sees; cannot see, though it should; absent: what it watches was never there on this host",
  }),
  since: api.Instant,
  why: api.nullable(Type.String({ description: "in words, where it does not see" })),
  gave_up: Type.Array(Type.String(), { description: "what it leaves out since there is too much of it" }),
  told: Type.Boolean({ description: "an alert of the agent's tells people already that it cannot see" }),
});
/** Whether its agent is connected. */
export const AGENT_STATUSES = ["online", "offline"] as const;
const AGENT = {
  id: api.Uuid,
  hostname: api.nullable(Type.String()),
  status: api.oneOf(AGENT_STATUSES),
  last_seen_at: api.nullable(api.Instant),
  version: api.nullable(Type.String({ description: "of the agent, as it says" })),
  outdated: Type.Boolean({ description: "it is OpsPilot's own agent, and older than this server" }),
  meta: api.nullable(api.AnyObject),
  created_at: api.Instant,
  connected_at: api.nullable(api.Instant),
  collectors: Type.Array(Collector),
  shared_with: Type.Array(Type.String(), { description: "other hosts that use the same token" }),
};
/** A host's agent. */
export type AgentView = Static<typeof Agent>;
const Agent = api.resource("Agent", AGENT);
const AgentWithToken = api.resource("AgentWithToken", {
  ...AGENT,
  token: Type.String({ description: "the agent's secret, shown this once" }),
  install: Type.String({ description: "the command that makes the agent a service of its host" }),
});
const NewAgent = api.input({
  hostname: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: "1 to 255 characters" })),
});

const ROTATION = api.input({
  grace_s: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: GRACE_S_MAX,
      description: `a whole number of seconds, 0 to ${GRACE_S_MAX}; 0 when absent`,
    }),
  ),
});

/** Shows agents with what their version means to a server of this one. */
export function agentsFor(serverVersion: string) {
  return (agent: StoredAgent) => ({
    ...agent,
    version: versionOf(agent),
    outdated: isOutdated(agent, serverVersion),
  });
}

interface AgentRouteDeps {
  version: string;
  agents: AgentService;
  actorOf: ActorOf;
  config: OwnAddress;
}

/** The hosts' agents: who there is, and their tokens. */
export function agentRoutes({ agents, actorOf, config, version }: AgentRouteDeps) {
  const { viewer, admin } = api.describing("agents");
  const shown = agentsFor(version);
  const withToken = (request: Request, { agent, token }: { agent: StoredAgent; token: string }) => ({
    ...api.onWire(shown(agent)),
    token,
    install: installCommand(ownAddress(request, config), { token }),
  });
  return new Elysia({ name: "agents", prefix: "/v1/agents", normalize: false })
    .get(
      "/",
      async ({ query, request, set }) => {
        const { cursor, status } = query;
        const meant = { cursor, status, ids: query.ids?.split(",") };
        const { agents: page, nextCursor } = await agents.list({ limit: api.limitOf(query), ...meant });
        return api.pageOf(page.map(shown), nextCursor, { request, set });
      },
      viewer(
        "All agents, newest first",
        {
          query: api.pageQuery(api.Uuid, {
            status: Type.Optional(api.oneOf(AGENT_STATUSES)),
            ids: Type.Optional(api.Uuids),
          }),
        },
        api.answers(200, Type.Array(Agent)),
      ),
    )
    .post(
      "/",
      async ({ body, request, server, set }) => {
        const made = await agents.create(body, actorOf(request, server));
        set.status = 201;
        return withToken(request, made);
      },
      admin("A new agent and its token", { body: NewAgent }, api.answers(201, AgentWithToken)),
    )
    .get(
      "/:id",
      async ({ params }) => {
        return api.onWire(shown(existing("agent", await agents.get(params.id))));
      },
      viewer("One agent", { params: api.UUID_PARAMS }, api.answers(200, Agent, 404)),
    )
    .delete(
      "/:id",
      async ({ params, request, server, set }) => {
        existing("agent", await agents.remove(params.id, actorOf(request, server)));
        set.status = 204;
      },
      admin(
        "Removes an agent: its token is revoked; its incidents stay",
        { params: api.UUID_PARAMS },
        api.answers(204, Type.Void(), 404),
      ),
    )
    .post(
      "/:id/rotate-token",
      async ({ params, body, request, server }) => {
        const graceMs = (body.grace_s ?? 0) * 1_000;
        const rotation = await agents.rotateToken(params.id, actorOf(request, server), graceMs);
        return withToken(request, existing("agent", rotation));
      },
      admin(
        "A new token in place of the old one, which is revoked, or stays good for grace_s seconds",
        { params: api.UUID_PARAMS, body: ROTATION },
        api.answers(200, AgentWithToken, 404),
      ),
    );
}
