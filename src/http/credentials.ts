/**
 * Under token access a request proves who sends it by `Authorization: Bearer` with ADMIN_TOKEN, or, from a browser that signed in
 * with it, by a cookie. A cookie comes along by itself, whichever page made the browser ask; so, beside SameSite=Strict and the
 * rules for all pages, what changes something under a cookie must name its page, and have a type that no form has.
 */
import { timingSafeEqual } from "node:crypto";
import type { Config } from "../config.ts";
import type { Clock } from "../lib/clock.ts";
import { createFailureCounter, type FailureLimits } from "../lib/failure-counter.ts";
import type { SessionService } from "../sessions/model.ts";
import { HttpProblem, isJsonBody } from "./problems.ts";

/** The cookie of a browser that is signed in. */
export const SESSION_COOKIE = "opspilot_session";

const COOKIE_VALUE = new RegExp(`(?:^|;)\\s*${SESSION_COOKIE}=([A-Za-z0-9_-]{43})\\s*(?:;|$)`);

const CHALLENGE = { "www-authenticate": 'Bearer realm="opspilot"' };

export interface CredentialDeps {
  access: Config["access"];
  clock: Clock;
  failureLimits: FailureLimits;
  sessions: SessionService;
}

/** Makes the one judge of credentials, with one count of failures for all ways in. */
export function createCredentials({ access: { adminToken }, clock, failureLimits, sessions }: CredentialDeps) {
  const failures = createFailureCounter(clock, failureLimits);
  const expected = digest(adminToken ?? "");

  /** What is wrong with it: nothing when it is ADMIN_TOKEN, however often others failed from that address. */
  function judgeToken(token: string, address: string): HttpProblem | undefined {
    if (adminToken !== null && timingSafeEqual(digest(token), expected)) return undefined;
    return refuse(token, address);
  }

  function refuse(credential: string, address: string): HttpProblem {
    const waitS = failures.note(address, credential);
    if (waitS === 0) return unauthorized("the credential is wrong");
    const headers = { "retry-after": String(waitS) };
    return new HttpProblem(429, "rate_limited", "too many wrong credentials; try again later", { headers });
  }

  function judgeHeader(header: string, address: string): HttpProblem | undefined {
    const token = /^Bearer +(\S+)$/i.exec(header)?.[1];
    return token === undefined ? refuse(header, address) : judgeToken(token, address);
  }

  /** Until when the request's session lasts; undefined without one. */
  async function sessionEnd({ headers }: Request): Promise<Date | undefined> {
    const secret = secretOf(headers);
    return secret === undefined ? undefined : sessions.find(secret);
  }

  return {
    judgeToken,
    sessionEnd,
    /** What keeps the request from what is not public. */
    async judge(request: Request, address: string): Promise<HttpProblem | undefined> {
      const header = request.headers.get("authorization");
      if (header !== null) return judgeHeader(header, address);
      if ((await sessionEnd(request)) === undefined) return unauthorized("a credential is needed");
      return judgeIntent(request);
    },
  };
}

export type Credentials = ReturnType<typeof createCredentials>;

/** The secret of the request's cookie, if it has one that can be. */
export function secretOf(headers: Headers): string | undefined {
  return COOKIE_VALUE.exec(headers.get("cookie") ?? "")?.[1];
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

function unauthorized(detail: string): HttpProblem {
  return new HttpProblem(401, "unauthorized", detail, { headers: CHALLENGE });
}

/** Of equal length, whatever the text: so that comparing takes equal time. */
function digest(text: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}
