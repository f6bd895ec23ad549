import type { IntegrationKind, IntegrationService, Sender } from "../integrations/model.ts";
import type { FailureCounter } from "../lib/failure-counter.ts";
import { HttpProblem } from "./problems.ts";

/**
 * Whose a request is by its integration's token, which comes as `Authorization: Bearer` or in the path. Throws the refusal: wrong tokens
 * are counted, and a good one of another kind is named as that.
 */
export function createSenders(integrations: Pick<IntegrationService, "find">, failures: FailureCounter) {
  return async (request: Request, address: string, kind: IntegrationKind, inPath?: string): Promise<Sender> => {
    const token = inPath ?? /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
    if (token === undefined) throw unauthorized("an integration's token is needed (opspilot integration create)");
    const sender = failures.heldFor(address, token) > 0 ? undefined : await integrations.find(token);
    if (sender === undefined) {
      const waitS = failures.note(address, token);
      if (waitS === 0) throw unauthorized("the token is no integration's");
      const headers = { "retry-after": String(waitS) };
      throw new HttpProblem(429, "rate_limited", "too many wrong credentials; try again later", { headers });
    }
    if (sender.kind === kind) return sender;
    throw new HttpProblem(403, "other_intake", `this token is of an integration of the kind ${sender.kind}`);
  };
}

export type SenderOf = ReturnType<typeof createSenders>;

function unauthorized(detail: string): HttpProblem {
  const headers = { "www-authenticate": 'Bearer realm="opspilot integrations"' };
  return new HttpProblem(401, "unauthorized", detail, { headers });
}
