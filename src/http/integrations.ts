import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { INTEGRATION_KINDS, INTEGRATION_NAME, type IntegrationService } from "../integrations/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import { integrationSetup } from "./integration-setup.ts";
import { type OwnAddress, ownAddress } from "./own-address.ts";
import { existing, HttpProblem } from "./problems.ts";
import * as api from "./schemas.ts";

const INTEGRATION = {
  id: api.Uuid,
  kind: api.oneOf(INTEGRATION_KINDS),
  name: Type.String(),
  created_at: api.Instant,
  created_by: Type.String(),
  last_used_at: api.nullable(Type.String({ format: "date-time", description: "to the minute" })),
};
/** What alerts beside agents. */
export type IntegrationView = Static<typeof IntegrationSchema>;
const IntegrationSchema = api.resource("Integration", INTEGRATION);
/** The same, with what is shown this once. */
export type NewIntegrationView = Static<typeof IntegrationWithToken>;
const IntegrationWithToken = api.resource("NewIntegration", {
  ...INTEGRATION,
  token: Type.String({ description: "the secret, shown this once" }),
  url: Type.String({ description: "where it sends to, with the token as `Authorization: Bearer`" }),
  setup: Type.String({ description: "the lines to paste where it alerts" }),
});
const BODY = api.input({
  kind: Type.Unsafe<(typeof INTEGRATION_KINDS)[number]>(
    Type.Union(
      INTEGRATION_KINDS.map((kind) => Type.Literal(kind)),
      { description: INTEGRATION_KINDS.join(" or ") },
    ),
  ),
  name: Type.String({
    pattern: INTEGRATION_NAME,
    description: "1 to 64 letters, digits, spaces and . _ + -, with a letter or digit at both ends",
  }),
});

interface IntegrationRouteDeps {
  integrations: IntegrationService;
  actorOf: ActorOf;
  config: OwnAddress;
}

/** What alerts beside agents: each with a token that is good for its intake alone. */
export function integrationRoutes({ integrations, actorOf, config }: IntegrationRouteDeps) {
  const { viewer, admin } = api.describing("integrations");
  return new Elysia({ name: "integrations", prefix: "/v1/integrations", normalize: false })
    .get(
      "/",
      async ({ query, request, set }) => {
        const page = await integrations.list({ limit: api.limitOf(query), cursor: query.cursor });
        return api.pageOf(page.integrations, page.nextCursor, { request, set });
      },
      viewer(
        "Integrations, newest first; never what their tokens are",
        { query: api.pageQuery(api.Uuid, {}) },
        api.answers(200, Type.Array(IntegrationSchema)),
      ),
    )
    .post(
      "/",
      async ({ body, request, server, set }) => {
        const { kind, name } = body;
        const creation = await integrations.create({ kind, name }, actorOf(request, server));
        if (!creation.ok) throw new HttpProblem(409, creation.reason, creation.message);
        const { made, token } = creation;
        set.status = 201;
        return { ...api.onWire(made), token, ...integrationSetup(kind, ownAddress(request, config), token) };
      },
      admin(
        "A new integration; its token is shown this once",
        { body: BODY },
        api.answers(201, IntegrationWithToken, 409),
      ),
    )
    .post(
      "/:id/rotate",
      async ({ params, request, server }) => {
        const rotated = existing("integration", await integrations.rotate(params.id, actorOf(request, server)));
        const { integration, token } = rotated;
        const setup = integrationSetup(integration.kind, ownAddress(request, config), token);
        return { ...api.onWire(integration), token, ...setup };
      },
      admin(
        "Another token for an integration, shown this once; the old one is no good from then on",
        { params: api.UUID_PARAMS },
        api.answers(200, IntegrationWithToken, 404),
      ),
    )
    .delete(
      "/:id",
      async ({ params, request, server, set }) => {
        existing("integration", await integrations.revoke(params.id, actorOf(request, server)));
        set.status = 204;
      },
      admin(
        "Removes an integration: its token is no longer good, its incidents stay",
        { params: api.UUID_PARAMS },
        api.answers(204, Type.Void(), 404),
      ),
    );
}
