import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { Config } from "../config.ts";
import type { ClientAddress } from "../lib/addresses.ts";
import type { Log } from "../lib/log.ts";
import type { SessionService } from "../sessions/model.ts";
import { type Credentials, SESSION_COOKIE, secretOf } from "./credentials.ts";
import { HttpProblem } from "./problems.ts";
import * as api from "./schemas.ts";

/** Asked by browsers that are not signed in. */
export const SESSION_PATH = "/v1/session";

/** Who may do what, and whether this browser may. */
export type SessionView = Static<typeof SessionSchema>;
const SessionSchema = api.resource("Session", {
  access: api.oneOf(["open", "token"]),
  signed_in: Type.Boolean({ description: "whether this browser may use the API; always so under open access" }),
  expires_at: api.nullable(api.Instant),
});

const TOKEN_CHARS_MAX = 512;
const BODY = api.input({
  token: Type.String({ maxLength: TOKEN_CHARS_MAX, description: `ADMIN_TOKEN, at most ${TOKEN_CHARS_MAX} characters` }),
});

export interface SessionRouteDeps {
  config: Pick<Config, "access" | "publicUrl" | "tls">;
  credentials: Credentials;
  sessions: SessionService;
  addressOf: ClientAddress;
  log: Log;
}

/** Signing in and out by a browser. */
export function sessionRoutes({ config, credentials, sessions, addressOf, log }: SessionRouteDeps) {
  const describe = api.describing("session");
  /** A credential may come along, and need not. */
  const publicly = <T extends { detail: object }>(options: T) => ({
    ...options,
    detail: { ...options.detail, security: [{}] },
  });

  async function endOldSession({ headers }: Request): Promise<void> {
    const secret = secretOf(headers);
    if (secret !== undefined) await sessions.end(secret);
  }

  return new Elysia({ name: "session", normalize: false })
    .get(
      SESSION_PATH,
      async ({ request, server }) => {
        const { mode } = config.access;
        if (mode === "open") return { access: mode, signed_in: true, expires_at: null };
        if (request.headers.has("authorization")) {
          const problem = await credentials.judge(request, addressOf(request, server));
          if (problem) throw problem;
          return { access: mode, signed_in: true, expires_at: null };
        }
        const end = await credentials.sessionEnd(request);
        return { access: mode, signed_in: end !== undefined, expires_at: end?.toISOString() ?? null };
      },
      publicly(describe("Whether a credential is needed, and given", {}, api.answers(200, SessionSchema))),
    )
    .post(
      SESSION_PATH,
      async ({ body, request, server, set }) => {
        if (config.access.mode === "open") {
          throw new HttpProblem(409, "open_access", "there is nothing to sign in to: no credential is asked for");
        }
        const address = addressOf(request, server);
        const problem = credentials.judgeToken(body.token, address);
        if (problem) throw problem;
        await endOldSession(request);
        const { secret, lifetimeMs } = await sessions.create();
        set.headers["set-cookie"] = cookie(secret, lifetimeMs / 1000, isSecure(request));
        set.status = 204;
        log.info({ address }, "a browser signed in");
      },
      publicly(
        describe(
          "Signs a browser in: the answer sets a cookie that stands for the token",
          { body: BODY },
          api.answers(204, Type.Void(), 409),
        ),
      ),
    )
    .delete(
      SESSION_PATH,
      async ({ request, set }) => {
        await endOldSession(request);
        set.headers["set-cookie"] = cookie("", 0, isSecure(request));
        set.status = 204;
      },
      publicly(describe("Signs the browser out", {}, api.answers(204, Type.Void()))),
    );

  /** As the browser sees the way to the server, which may have TLS from a proxy; a secure cookie on another way is not kept. */
  function isSecure({ headers }: Request): boolean {
    const page = headers.get("origin") ?? config.publicUrl;
    return config.tls !== null || page?.startsWith("https:") === true;
  }
}

/** No script can read it, and no other site's page can make use of it. */
function cookie(secret: string, maxAgeS: number, isSecure: boolean): string {
  const secure = isSecure ? "; Secure" : "";
  return `${SESSION_COOKIE}=${secret}; Path=/; Max-Age=${maxAgeS}; HttpOnly; SameSite=Strict${secure}`;
}
