import type { Config } from "../config.ts";
import type { Clock } from "../lib/clock.ts";
import type { FailureLimits } from "../lib/failure-counter.ts";
import { createCredentialRule } from "./credentials.ts";
import { checkBody } from "./json-body.ts";
import { createPageRules } from "./page-rules.ts";
import { HttpProblem } from "./problems.ts";
import { isSlackCallback } from "./slack.ts";

export interface AccessDeps {
  config: Pick<Config, "access" | "publicUrl">;
  clock: Clock;
  failureLimits?: FailureLimits;
}

/** What keeps a request out, or undefined. */
export type AccessCheck = (request: Request, address: string) => HttpProblem | undefined;

/**
 * Who may do what, in one place, asked once for every request and upgrade before a route is looked for: a route that
 * somebody adds is closed until it is named as public.
 */
export function createAccessCheck({ config, clock, failureLimits }: AccessDeps): AccessCheck {
  const checkPage = createPageRules(config);
  const checkCredential = createCredentialRule({ access: config.access, clock, limits: failureLimits });
  return (request, address) => {
    const path = pathOf(request.url);
    if (path === undefined) return new HttpProblem(400, "bad_host", "the Host header is missing or malformed");
    // Slack's servers call by whatever name and proxy leads here, with a form; their signature says more than these rules.
    if (isSlackCallback(request.method, path)) return undefined;
    return checkPage(request, path) ?? checkCredential(request, path, address) ?? checkBody(request);
  };
}

/** The path as the router sees it. Bun leaves the server's part of the URL out where the Host header does not make one. */
function pathOf(url: string): string | undefined {
  return /^https?:\/\/[^/?#]+(\/[^?#]*)/.exec(url)?.[1];
}
