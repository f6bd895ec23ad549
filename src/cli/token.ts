import { userInfo } from "node:os";
import type { Flags } from "../config/sources.ts";
import { loadConfig } from "../config.ts";
import { migrate } from "../db/migrate.ts";
import { createAgentService, createNotices } from "../fleet/fleet.ts";
import type { Agent, AgentService } from "../fleet/model.ts";
import { createFleetStore } from "../fleet/store.ts";
import { createIncidentWriter } from "../incidents/write-store.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";
import { isUuid } from "../lib/uuid.ts";
import { withDatabase } from "./with-database.ts";

const HOSTNAME_CHARS_MAX = 255;

/** One statement of the database reads so many. */
const PAGE = 1_000;

/** Makes an agent and prints its token: on a line of its own on standard output, so that a script can take it. */
export async function createToken(flags: Flags & { hostname?: string; json?: true }): Promise<number> {
  const { hostname, json } = flags;
  if (hostname !== undefined && (hostname === "" || hostname.length > HOSTNAME_CHARS_MAX)) {
    throw new StartupError(`--hostname: expected 1 to ${HOSTNAME_CHARS_MAX} characters`, ExitCode.usage);
  }
  const { agent, token } = await withAgents(flags, (agents) => agents.create({ hostname }, actor()));
  if (json) process.stdout.write(`${JSON.stringify({ id: agent.id, hostname: agent.hostname, token })}\n`);
  else {
    process.stderr.write(`The token of agent ${agent.id}, which is shown this once:\n`);
    process.stdout.write(`${token}\n`);
  }
  return ExitCode.ok;
}

/** Prints the agents, newest first; no tokens: they are not stored. */
export async function listTokens(flags: Flags & { json?: true }): Promise<number> {
  const agents = await withAgents(flags, async (service) => {
    const found: Agent[] = [];
    let cursor: string | undefined;
    do {
      const page = await service.list({ limit: PAGE, cursor });
      found.push(...page.agents);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return found;
  });
  process.stdout.write(flags.json ? `${JSON.stringify(agents)}\n` : table(agents));
  return ExitCode.ok;
}

/** Removes an agent; 1 when there is none of this id. */
export async function revokeToken(agentId: string, flags: Flags): Promise<number> {
  if (!isUuid(agentId))
    throw new StartupError("expected an agent's id, as `opspilot token list` shows it", ExitCode.usage);
  const isRemoved = await withAgents(flags, (agents) => agents.remove(agentId, actor()));
  if (!isRemoved) throw new StartupError(`there is no agent ${agentId}`, ExitCode.failure);
  process.stderr.write(`The token of agent ${agentId} is revoked.\n`);
  return ExitCode.ok;
}

function table(agents: readonly Agent[]): string {
  const rows = agents.map(({ id, hostname, status, last_seen_at }) =>
    [id, status.padEnd(7), (last_seen_at?.toISOString() ?? "never").padEnd(24), hostname ?? "-"].join("  "),
  );
  return [["AGENT".padEnd(36), "STATUS ", "LAST SEEN".padEnd(24), "HOSTNAME"].join("  "), ...rows, ""].join("\n");
}

/** Who did it, for the audit trail. */
function actor(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch (error) {
    // A uid without an entry, as in a container.
    if (error instanceof Error) return `cli:${process.getuid?.() ?? "unknown"}`;
    throw error;
  }
}

/**
 * Agents as the command line manages them: beside a running server, which hears of what changes, or alone. On a new
 * database the tables are made first, so that a token can be had before the first start.
 */
function withAgents<T>(flags: Flags, use: (agents: AgentService) => Promise<T>): Promise<T> {
  return withDatabase(loadConfig(flags), async (database, log) => {
    await migrate(database, log);
    const { revoked } = createNotices(database.sql, crypto.randomUUID());
    const store = createFleetStore(database.sql, createIncidentWriter());
    return use(createAgentService({ store, revoked }));
  });
}
