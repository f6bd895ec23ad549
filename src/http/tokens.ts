import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { type AccessService, TOKEN_NAME } from "../access/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import type { Clock } from "../lib/clock.ts";
import { ROLES } from "../protocol/roles.ts";
import { existing, HttpProblem } from "./problems.ts";
import * as api from "./schemas.ts";

const TOKEN = {
  id: api.Uuid,
  name: Type.String(),
  role: api.oneOf(ROLES),
  created_at: api.Instant,
  created_by: Type.String(),
  expires_at: api.nullable(api.Instant),
  last_used_at: api.nullable(Type.String({ format: "date-time", description: "to the minute or so" })),
  last_used_from: api.nullable(Type.String({ description: "the address" })),
};
/** What a person or a program uses the API with. */
export type TokenView = Static<typeof TokenSchema>;
const TokenSchema = api.resource("AccessToken", TOKEN);
const TokenWithSecret = api.resource("NewAccessToken", {
  ...TOKEN,
  token: Type.String({ description: "the secret, shown this once" }),
});
const BODY = api.input({
  name: Type.String({
    pattern: TOKEN_NAME,
    description: "1 to 64 letters, digits, spaces and . _ + -, beginning and ending with a letter or digit",
  }),
  role: api.oneOf(ROLES),
  expires_at: Type.Optional(api.FutureText),
});

/** What people and programs use the API with, beside ADMIN_TOKEN. */
export function tokenRoutes(tokens: AccessService, actorOf: ActorOf, clock: Pick<Clock, "now">) {
  const { admin } = api.describing("tokens");
  return new Elysia({ name: "tokens", prefix: "/v1/tokens", normalize: false })
    .get(
      "/",
      async ({ query, request, set }) => {
        const page = await tokens.list({ limit: api.limitOf(query), cursor: query.cursor });
        return api.pageOf(page.tokens, page.nextCursor, { request, set });
      },
      admin(
        "Tokens that are good, newest first; never what they are",
        { query: api.pageQuery(api.Uuid, {}) },
        api.answers(200, Type.Array(TokenSchema)),
      ),
    )
    .post(
      "/",
      async ({ body, request, server, set }) => {
        const expiresAt = api.futureOf(body.expires_at, "expires_at", clock.now());
        const wanted = { name: body.name, role: body.role, expiresAt };
        const creation = await tokens.create(wanted, actorOf(request, server));
        if (!creation.ok) throw new HttpProblem(409, creation.reason, creation.message);
        set.status = 201;
        return { ...api.onWire(creation.made), token: creation.token };
      },
      admin("A new token, shown this once", { body: BODY }, api.answers(201, TokenWithSecret, 409)),
    )
    .delete(
      "/:id",
      async ({ params, request, server, set }) => {
        existing("token", await tokens.revoke(params.id, actorOf(request, server)));
        set.status = 204;
      },
      admin(
        "Revokes a token: it, and what signed in with it, is refused on every node from then on",
        { params: api.UUID_PARAMS },
        api.answers(204, Type.Void(), 404),
      ),
    );
}
