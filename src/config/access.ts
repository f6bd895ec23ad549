import { isLoopbackHost } from "../lib/addresses.ts";
import type { Mistakes } from "./mistakes.ts";
import type { RawSettings } from "./settings.ts";

/** Who may use the API. */
export interface Access {
  readonly mode: "open" | "token";
  /** ACCESS was set by the operator: then PUBLIC_URL's host may be named, and proxies may stand in front. */
  readonly explicit: boolean;
  readonly adminToken: string | null;
}

const OPEN_TO_THE_NETWORK =
  "must be set: the server would be open to the network without a credential. Set ADMIN_TOKEN (or ADMIN_TOKEN_FILE) to 20 " +
  "characters or more, for example the output of `openssl rand -hex 24`; or HOST=127.0.0.1; or, where the network itself " +
  "is closed, ACCESS=open";

/**
 * One rule, in this order: ACCESS if set; else token when there is an ADMIN_TOKEN; else open when only this machine can
 * reach the server; else there is no safe answer, and the start is refused.
 */
export function decideAccess(
  raw: RawSettings,
  reach: { host: string; publicUrl: string | null },
  mistakes: Mistakes,
): Access {
  const adminToken = raw.ADMIN_TOKEN ?? null;
  const hasToken = adminToken !== null || mistakes.concern("ADMIN_TOKEN");
  if (raw.ACCESS === "open") return { mode: "open", explicit: true, adminToken: null };
  if (raw.ACCESS === "token") {
    if (!hasToken) mistakes.add("ADMIN_TOKEN", "is needed by ACCESS=token: 20 characters or more");
    return { mode: "token", explicit: true, adminToken };
  }
  if (hasToken) return { mode: "token", explicit: false, adminToken };
  if (!isOnlyThisMachine(reach)) mistakes.add("ADMIN_TOKEN", OPEN_TO_THE_NETWORK);
  return { mode: "open", explicit: false, adminToken: null };
}

function isOnlyThisMachine({ host, publicUrl }: { host: string; publicUrl: string | null }): boolean {
  return isLoopbackHost(host) && (publicUrl === null || isLoopbackHost(new URL(publicUrl).hostname));
}
