import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { Config } from "../config.ts";
import * as api from "./schemas.ts";

const SessionSchema = api.resource("Session", {
  access: api.oneOf(["open", "token"]),
  signed_in: Type.Boolean(),
  expires_at: api.nullable(api.Instant),
});

/** Who signs in by a browser. */
export function sessionRoutes({ access }: Pick<Config, "access">) {
  return new Elysia({ name: "session", prefix: "/v1", normalize: false }).get(
    "/session",
    () => ({ access: access.mode, signed_in: false, expires_at: null }),
    {
      response: api.answers(200, SessionSchema),
      detail: { tags: ["session"], summary: "Whether a credential is needed, and given", security: [] },
    },
  );
}
