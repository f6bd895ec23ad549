import { globOf } from "../lib/text.ts";
import type { ShortIncident, Silence } from "./model.ts";

/** Whether the patterns fit: the same rule as the server's, for a look before. */
export function fitsPatterns(
  { agent, type, source }: Pick<Silence, "agent" | "type" | "source">,
  incident: ShortIncident,
): boolean {
  const fits = (pattern: string | null, text: string, flags = "") =>
    pattern === null || globOf(pattern, flags).test(text);
  const isHost = fits(agent, incident.host, "i") || (agent !== null && fits(agent, incident.agent_id, "i"));
  return isHost && fits(type, incident.type) && fits(source, incident.source);
}
