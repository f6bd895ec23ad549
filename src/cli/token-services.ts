import { userInfo } from "node:os";
import type { AccessService } from "../access/model.ts";
import { createAccess } from "../access/service.ts";
import { createAccessStore } from "../access/store.ts";
import type { Flags } from "../config/sources.ts";
import { loadConfig } from "../config.ts";
import { migrate } from "../db/migrate.ts";
import { createEnrolmentStore } from "../fleet/enrolment-store.ts";
import { createEnrolments } from "../fleet/enrolments.ts";
import { createAgentService, createNotices } from "../fleet/fleet.ts";
import type { AgentService, EnrolmentService } from "../fleet/model.ts";
import { createFleetStore } from "../fleet/store.ts";
import { type HostCredential, installCommand } from "../http/own-address.ts";
import { createIncidentWriter } from "../incidents/write-store.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";
import { createLoops } from "../lib/loops.ts";
import { parseDurationMs } from "../lib/units.ts";
import { terminalText } from "./terminal.ts";
import { withDatabase } from "./with-database.ts";

/** All that has tokens. */
export interface TokenServices {
  readonly agents: AgentService;
  readonly access: AccessService;
  readonly enrolments: EnrolmentService;
}

/**
 * Tokens as the command line manages them: beside a running server, which hears of what changes, or alone. On a new
 * database the tables are made first, so that a token can be had before the first start.
 */
export function withTokens<T>(flags: Flags, use: (services: TokenServices) => Promise<T>): Promise<T> {
  return withDatabase(loadConfig(flags), async (database, log) => {
    await migrate(database, log);
    const { sql } = database;
    const { revoked } = createNotices(sql, crypto.randomUUID());
    const writer = createIncidentWriter();
    const clock = createSystemClock();
    return use({
      agents: createAgentService({ store: createFleetStore(sql, writer), revoked }),
      access: createAccess({ store: createAccessStore(sql, writer), loops: createLoops(clock, log), clock }),
      enrolments: createEnrolments(createEnrolmentStore(sql, writer)),
    });
  });
}

/** One statement of the database reads so many. */
const PAGE = 1_000;

/** All rows of a list that is read page by page. */
export async function allOf<T>(
  read: (page: { limit: number; cursor: string | undefined }) => Promise<{ rows: T[]; nextCursor?: string }>,
): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await read({ limit: PAGE, cursor });
    found.push(...page.rows);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found;
}

/** A flag that is a duration, in milliseconds. Throws a StartupError for what is none, or too short or too long. */
export function durationFlag(
  name: string,
  text: string,
  range: { minMs: number; maxMs: number; words: string },
): number {
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms >= range.minMs && ms <= range.maxMs) return ms;
  throw new StartupError(`${name}: expected ${range.words}`, ExitCode.usage);
}

/** Rows under their titles, each column as wide as it needs to be. */
export function tableOf(titles: readonly string[], given: readonly (readonly string[])[]): string {
  const rows = given.map((cells) => cells.map(terminalText));
  const widths = titles.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  return [titles, ...rows].map((cells) => `${line(cells)}\n`).join("");
}

/** Prints a secret that is shown this once: on a line of its own on standard output, so that a script can take it. */
export function printSecret(about: string, token: string): void {
  process.stderr.write(`${about}, which is shown this once:\n`);
  process.stdout.write(`${token}\n`);
}

/** Says how a host gets its agent by this, where the settings say how the server is reached. */
export function printInstall(flags: Flags, credential: HostCredential): void {
  const { publicUrl } = loadConfig(flags);
  if (publicUrl !== null) process.stderr.write(`On the host:\n${installCommand(publicUrl, credential)}\n`);
}

/** Who did it, for the audit trail. */
export function cliActor(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch (error) {
    // A uid without an entry, as in a container.
    if (error instanceof Error) return `cli:${process.getuid?.() ?? "unknown"}`;
    throw error;
  }
}
