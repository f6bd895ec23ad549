import { fieldsOf } from "../lib/json.ts";
import { isOlder } from "../lib/versions.ts";
import type { Agent } from "./model.ts";

/** Which version an agent runs, as it says. */
export function versionOf({ meta }: Pick<Agent, "meta">): string | null {
  return typeof meta?.version === "string" ? meta.version : null;
}

/**
 * Whether it is an agent of ours that is older than the server. Other programs have versions of their own; ours tell how their spool is,
 * as no other does.
 */
export function isOutdated(agent: Pick<Agent, "meta">, serverVersion: string): boolean {
  const version = versionOf(agent);
  const isOurs = fieldsOf(agent.meta?.spool).dropped_repeats !== undefined;
  return isOurs && version !== null && isOlder(version, serverVersion);
}
