import { timingSafeEqual } from "node:crypto";
import type { Config } from "../config.ts";
import type { Clock } from "../lib/clock.ts";
import { createFailureCounter, FAILURE_LIMITS, type FailureLimits } from "../lib/failure-counter.ts";
import { HttpProblem } from "./problems.ts";

/** Served to everybody; the stream has credentials of its own, the agents' tokens. */
const PUBLIC_PATHS = ["/", "/healthz", "/readyz", "/v1/stream"];

const CHALLENGE = { "www-authenticate": 'Bearer realm="opspilot"' };

/** Whether a request carries what its path needs: under token access, `Authorization: Bearer` with ADMIN_TOKEN. */
export function createCredentialRule(deps: { access: Config["access"]; clock: Clock; limits?: FailureLimits }) {
  const { mode, adminToken } = deps.access;
  const failures = createFailureCounter(deps.clock, deps.limits ?? FAILURE_LIMITS);
  const expected = digest(adminToken ?? "");

  function refuse(address: string, credential: string): HttpProblem {
    const waitS = failures.note(address, credential);
    if (waitS === 0) return new HttpProblem(401, "unauthorized", "the credential is wrong", { headers: CHALLENGE });
    const headers = { "retry-after": String(waitS) };
    return new HttpProblem(429, "rate_limited", "too many wrong credentials; try again later", { headers });
  }

  return (request: Request, path: string, address: string): HttpProblem | undefined => {
    if (mode === "open" || PUBLIC_PATHS.includes(path)) return undefined;
    const header = request.headers.get("authorization");
    if (header === null) return new HttpProblem(401, "unauthorized", "a credential is needed", { headers: CHALLENGE });
    const credential = /^Bearer +(\S+)$/i.exec(header)?.[1] ?? "";
    const isRight = adminToken !== null && timingSafeEqual(digest(credential), expected);
    return isRight ? undefined : refuse(address, header);
  };
}

/** Of equal length, whatever the text: so that comparing takes equal time. */
function digest(text: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}
