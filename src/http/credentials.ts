/**
 * Under token access a request proves who sends it by `Authorization: Bearer` with a token or ADMIN_TOKEN, or, from a browser that
 * signed in with one or at a provider, by a cookie. A cookie comes along by itself, whichever page made the browser ask; so, beside SameSite=Strict and
 * the rules for all pages, what changes something under a cookie must name its page, and have a type that no form has.
 */
import { timingSafeEqual } from "node:crypto";
import { type AccessService, ADMIN_NAME, type Identity } from "../access/model.ts";
import type { Config } from "../config.ts";
import { unreachable } from "../lib/errors.ts";
import type { FailureCounter } from "../lib/failure-counter.ts";
import type { Session, SessionService } from "../sessions/model.ts";
import { secretOf } from "./cookies.ts";
import { HttpProblem, isJsonBody } from "./problems.ts";

const CHALLENGE = { "www-authenticate": 'Bearer realm="opspilot"' };

const ADMIN: Identity = { role: "admin", name: ADMIN_NAME, tokenId: null, way: "api" };

/** Who it is, or what keeps it out. */
export type Judgement = { ok: true; identity: Identity } | { ok: false; problem: HttpProblem };

export interface CredentialDeps {
  access: Config["access"];
  tokens: Pick<AccessService, "find" | "used">;
  sessions: SessionService;
  /** One count for all ways in. */
  failures: FailureCounter;
}

/** Makes the one judge of credentials. */
export function createCredentials({ access: { adminToken }, tokens, sessions, failures }: CredentialDeps) {
  const expected = digest(adminToken ?? "");

  /** A good token is let in however often others failed from that address. */
  async function judgeToken(token: string, address: string): Promise<Judgement> {
    if (adminToken !== null && timingSafeEqual(digest(token), expected)) return { ok: true, identity: ADMIN };
    // Who repeats a wrong one need not be looked up again.
    const waitS = failures.heldFor(address, token);
    const identity = waitS > 0 ? undefined : await tokens.find(token);
    if (identity === undefined) return refuse(token, address);
    return used(identity, address);
  }

  function used(identity: Identity, address: string): Judgement {
    if (identity.tokenId !== null) tokens.used(identity.tokenId, address);
    return { ok: true, identity };
  }

  function refuse(credential: string, address: string): Judgement {
    const waitS = failures.note(address, credential);
    if (waitS === 0) return unauthorized("the credential is wrong");
    const headers = { "retry-after": String(waitS) };
    const problem = new HttpProblem(429, "rate_limited", "too many wrong credentials; try again later", { headers });
    return { ok: false, problem };
  }

  async function judgeHeader(header: string, address: string): Promise<Judgement> {
    const token = /^Bearer +(\S+)$/i.exec(header)?.[1];
    return token === undefined ? refuse(header, address) : judgeToken(token, address);
  }

  /** The request's session; undefined without one. */
  async function sessionOf({ headers }: Request): Promise<Session | undefined> {
    const secret = secretOf(headers);
    return secret === undefined ? undefined : sessions.find(secret);
  }

  async function judgeCookie(request: Request, address: string): Promise<Judgement> {
    const session = await sessionOf(request);
    if (session === undefined) return unauthorized("a credential is needed");
    const problem = judgeIntent(request);
    return problem ? { ok: false, problem } : used(identityOf(session), address);
  }

  return {
    judgeToken,
    sessionOf,
    /** Who sends the request, or what keeps it from what is not public. */
    judge(request: Request, address: string): Promise<Judgement> {
      const header = request.headers.get("authorization");
      return header === null ? judgeCookie(request, address) : judgeHeader(header, address);
    },
  };
}

export type Credentials = ReturnType<typeof createCredentials>;

/** Who signed in. */
export function identityOf({ owner }: Session): Identity {
  switch (owner.by) {
    case "admin":
      return ADMIN;
    case "token":
      return { role: owner.role, name: owner.name, tokenId: owner.id, way: "api" };
    case "oidc":
      return { role: owner.role, name: owner.name, tokenId: null, way: "oidc" };
    default:
      return unreachable(owner);
  }
}

/** Whether a request under a cookie was meant by the page. That the origin is the server's own has been looked at before. */
function judgeIntent({ method, headers }: Request): HttpProblem | undefined {
  if (method === "GET" || method === "HEAD") return undefined;
  if (!headers.has("origin")) {
    return new HttpProblem(403, "foreign_origin", "a change under a cookie must come with its page's Origin");
  }
  if (isJsonBody(headers)) return undefined;
  return new HttpProblem(415, "unsupported_media_type", "a change under a cookie must have the type application/json");
}

function unauthorized(detail: string): Judgement {
  return { ok: false, problem: needsCredential(detail) };
}

/** 401, with what a client is to send. */
export function needsCredential(detail: string): HttpProblem {
  return new HttpProblem(401, "unauthorized", detail, { headers: CHALLENGE });
}

/** Of equal length, whatever the text: so that comparing takes equal time. */
function digest(text: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}
