import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { AccessAudit, Identity } from "../access/model.ts";
import type { Config } from "../config.ts";
import type { ClientAddress } from "../lib/addresses.ts";
import type { Log } from "../lib/log.ts";
import type { OidcService } from "../oidc/model.ts";
import { apiActor, type RequestWay, requestActor } from "../protocol/actors.ts";
import { ROLES } from "../protocol/roles.ts";
import type { SessionService } from "../sessions/model.ts";
import { isSecureWay, secretOf, sessionCookie } from "./cookies.ts";
import { type Credentials, identityOf } from "./credentials.ts";
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
  role: api.nullable(api.oneOf(ROLES)),
  name: api.nullable(Type.String({ description: "of the token or the person; null where no credential is asked for" })),
  signed_in_by: api.nullable(api.oneOf(["token", "oidc"])),
  oidc: api.nullable(
    Type.Object(
      { name: Type.String({ description: "what people call the provider" }), url: Type.String() },
      { description: "where people sign in at a provider of OpenID Connect, if they can" },
    ),
  ),
});

const TOKEN_CHARS_MAX = 512;
const BODY = api.input({
  token: Type.String({
    maxLength: TOKEN_CHARS_MAX,
    description: `a token or ADMIN_TOKEN, at most ${TOKEN_CHARS_MAX} characters`,
  }),
});

export interface SessionRouteDeps {
  config: Pick<Config, "access" | "publicUrl" | "tls">;
  credentials: Credentials;
  sessions: SessionService;
  addressOf: ClientAddress;
  audit: AccessAudit;
  /** Null: people sign in with tokens alone. */
  oidc: Pick<OidcService, "name" | "url"> | null;
  log: Log;
}

/** Signing in and out by a browser. */
export function sessionRoutes({ config, credentials, sessions, addressOf, audit, oidc, log }: SessionRouteDeps) {
  const { everybody } = api.describing("session");

  /** Whose session it was that ends; undefined without one. */
  async function endOldSession(request: Request): Promise<Identity | undefined> {
    const session = await credentials.sessionOf(request);
    const secret = secretOf(request.headers);
    if (secret !== undefined) await sessions.end(secret);
    return session && identityOf(session);
  }

  async function viewOf(request: Request, address: string): Promise<SessionView> {
    const { mode } = config.access;
    if (mode === "open") return OPEN;
    if (request.headers.has("authorization")) {
      const judgement = await credentials.judge(request, address);
      if (!judgement.ok) throw judgement.problem;
      return viewFor(oidc, judgement.identity);
    }
    const session = await credentials.sessionOf(request);
    return viewFor(oidc, session && identityOf(session), session?.endsAt);
  }

  return new Elysia({ name: "session", normalize: false })
    .get(
      SESSION_PATH,
      ({ request, server }) => viewOf(request, addressOf(request, server)),
      everybody("Whether a credential is needed, and given, and its role", {}, api.answers(200, SessionSchema)),
    )
    .post(
      SESSION_PATH,
      async ({ body, request, server, set }) => {
        if (config.access.mode === "open") {
          throw new HttpProblem(409, "open_access", "there is nothing to sign in to: no credential is asked for");
        }
        const address = addressOf(request, server);
        const judgement = await credentials.judgeToken(body.token, address);
        if (!judgement.ok) {
          audit.refused({ kind: "session.refused", actor: apiActor(null, address), data: {} });
          throw judgement.problem;
        }
        const { name, role, tokenId } = judgement.identity;
        await endOldSession(request);
        const { secret, lifetimeMs } = await sessions.create(tokenId);
        set.headers["set-cookie"] = sessionCookie(secret, lifetimeMs / 1000, isSecureWay(config, request));
        set.status = 204;
        log.info({ address, name, role }, "a browser signed in");
        await audit.session("session.started", apiActor(name, address));
      },
      everybody(
        "Signs a browser in: the answer sets a cookie that stands for the token",
        { body: BODY },
        api.answers(204, Type.Void(), 409),
      ),
    )
    .delete(
      SESSION_PATH,
      async ({ request, server, set }) => {
        const ended = await endOldSession(request);
        set.headers["set-cookie"] = sessionCookie("", 0, isSecureWay(config, request));
        set.status = 204;
        if (!ended) return;
        await audit.session("session.ended", requestActor(ended.way, ended.name, addressOf(request, server)));
      },
      everybody("Signs the browser out", {}, api.answers(204, Type.Void())),
    );
}

const OPEN: SessionView = {
  access: "open",
  signed_in: true,
  expires_at: null,
  role: "admin",
  name: null,
  signed_in_by: null,
  oidc: null,
};

const BY: Readonly<Record<RequestWay, SessionView["signed_in_by"]>> = { api: "token", oidc: "oidc" };

function viewFor(oidc: SessionRouteDeps["oidc"], who: Identity | undefined, endsAt?: Date): SessionView {
  return {
    access: "token",
    signed_in: who !== undefined,
    expires_at: endsAt?.toISOString() ?? null,
    role: who?.role ?? null,
    name: who?.name ?? null,
    signed_in_by: who ? BY[who.way] : null,
    oidc: oidc && { name: oidc.name, url: oidc.url },
  };
}
