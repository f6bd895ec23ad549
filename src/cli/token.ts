import type { Flags } from "../config/sources.ts";
import type { Agent } from "../fleet/model.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";
import { isUuid } from "../lib/uuid.ts";
import { createAccessToken, createEnrolment, listAccessTokens, listEnrolments } from "./access-token.ts";
import { allOf, cliActor, durationFlag, printInstall, printSecret, tableOf, withTokens } from "./token-services.ts";

const HOSTNAME_CHARS_MAX = 255;
const GRACE = { minMs: 0, maxMs: 7 * 86_400_000, words: "a duration such as 1h, to 7d at most" };

/** Flags of `token create`: with a role it is a token of the API, with `enrol` one for hosts, else an agent's. */
export interface CreateFlags extends Flags {
  readonly hostname?: string;
  readonly role?: string;
  readonly name?: string;
  readonly enrol?: true;
  readonly uses?: string;
  readonly expires?: string;
  readonly json?: true;
}

/** Which flags only one of the three has. */
const OWN_FLAGS = { agent: ["hostname"], access: ["role", "name", "expires"], enrolment: ["enrol", "uses", "expires"] };

/** Makes a token and prints it. */
export function createToken(flags: CreateFlags): Promise<number> {
  const { role, enrol } = flags;
  const kind = role !== undefined ? "access" : enrol ? "enrolment" : "agent";
  const foreign = Object.values(OWN_FLAGS)
    .flat()
    .find((flag) => flag in flags && !OWN_FLAGS[kind].includes(flag));
  if (foreign !== undefined) {
    const hint =
      "--role and --name (and --expires) make a token of the API, --enrol (and --uses, --expires) one for hosts";
    throw new StartupError(`--${foreign} does not go with the rest: ${hint}`, ExitCode.usage);
  }
  if (role !== undefined) return createAccessToken({ ...flags, role });
  return enrol ? createEnrolment(flags) : createAgent(flags);
}

/** Makes an agent and prints its token. */
async function createAgent(flags: CreateFlags): Promise<number> {
  const { hostname, json } = flags;
  if (hostname !== undefined && (hostname === "" || hostname.length > HOSTNAME_CHARS_MAX)) {
    throw new StartupError(`--hostname: expected 1 to ${HOSTNAME_CHARS_MAX} characters`, ExitCode.usage);
  }
  const made = await withTokens(flags, ({ agents }) => agents.create({ hostname }, cliActor()));
  printAgentToken(made, json);
  if (!json) printInstall(flags, made);
  return ExitCode.ok;
}

/** Gives an agent another token and prints it; for the grace time the old one is good beside it. */
export async function rotateToken(agentId: string, flags: Flags & { grace?: string; json?: true }): Promise<number> {
  requireId(agentId);
  const graceMs = flags.grace === undefined ? 0 : durationFlag("--grace", flags.grace, GRACE);
  const rotated = await withTokens(flags, ({ agents }) => agents.rotateToken(agentId, cliActor(), graceMs));
  if (!rotated) throw new StartupError(`there is no agent ${agentId}`, ExitCode.failure);
  printAgentToken(rotated, flags.json);
  if (!flags.json) printInstall(flags, rotated);
  return ExitCode.ok;
}

function printAgentToken({ agent, token }: { agent: Agent; token: string }, json: true | undefined): void {
  if (json) process.stdout.write(`${JSON.stringify({ id: agent.id, hostname: agent.hostname, token })}\n`);
  else printSecret(`The token of agent ${agent.id}`, token);
}

/** Prints the agents, newest first, or the tokens of another kind; never what they are: that is not stored. */
export async function listTokens(flags: Flags & { access?: true; enrol?: true; json?: true }): Promise<number> {
  if (flags.access) return listAccessTokens(flags);
  if (flags.enrol) return listEnrolments(flags);
  const agents = await withTokens(flags, (services) =>
    allOf(async (page) => {
      const { agents: rows, ...next } = await services.agents.list({ limit: page.limit, ...cursorOf(page) });
      return { rows, ...next };
    }),
  );
  process.stdout.write(flags.json ? `${JSON.stringify(agents)}\n` : agentTable(agents));
  return ExitCode.ok;
}

const cursorOf = ({ cursor }: { cursor: string | undefined }) => (cursor === undefined ? {} : { cursor });

/** Removes an agent, or revokes a token of the API or of enrolment; 1 when there is none of this id. */
export async function revokeToken(id: string, flags: Flags): Promise<number> {
  requireId(id);
  const revoked = await withTokens(flags, async ({ agents, access, enrolments }) => {
    if (await agents.remove(id, cliActor())) return `The token of agent ${id}`;
    if (await access.revoke(id, cliActor())) return `The token ${id}`;
    return (await enrolments.revoke(id, cliActor())) ? `The enrolment token ${id}` : undefined;
  });
  if (revoked === undefined) throw new StartupError(`there is no agent ${id}, and no such token`, ExitCode.failure);
  process.stderr.write(`${revoked} is revoked.\n`);
  return ExitCode.ok;
}

function requireId(id: string): void {
  if (!isUuid(id))
    throw new StartupError("expected an agent's id, or a token's, as `opspilot token list` shows it", ExitCode.usage);
}

function agentTable(agents: readonly Agent[]): string {
  const rows = agents.map(({ id, hostname, status, last_seen_at }) => [
    id,
    status,
    last_seen_at?.toISOString() ?? "never",
    hostname ?? "-",
  ]);
  return tableOf(["AGENT", "STATUS", "LAST SEEN", "HOSTNAME"], rows);
}
