import { type AccessToken, TOKEN_NAME } from "../access/model.ts";
import type { Flags } from "../config/sources.ts";
import type { Enrolment } from "../fleet/model.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";
import { ROLES, type Role } from "../protocol/roles.ts";
import { allOf, cliActor, durationFlag, printInstall, printSecret, tableOf, withTokens } from "./token-services.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const EXPIRES = { minMs: MINUTE_MS, maxMs: 3_650 * DAY_MS, words: "a duration such as 90d or 8h, from 1m to 3650d" };
/** Of an enrolment token: what one takes with it to a host. */
const ENROLMENT_MS = DAY_MS;
const USES_MAX = 10_000;

/** Makes a token of the API and prints it. */
export async function createAccessToken(
  flags: Flags & { role: string; name?: string; expires?: string; json?: true },
): Promise<number> {
  const { name = "", json } = flags;
  const role = ROLES.find((one) => one === flags.role);
  if (role === undefined) throw usage(`--role: expected ${ROLES.join(", ")}`);
  if (!new RegExp(TOKEN_NAME).test(name)) {
    throw usage("--name: expected 1 to 64 letters, digits, spaces and . _ + -: whose token it is, for the audit trail");
  }
  const expiresAt = expiryOf(flags.expires);
  const creation = await withTokens(flags, ({ access }) => access.create({ name, role, expiresAt }, cliActor()));
  if (!creation.ok) throw new StartupError(creation.message, ExitCode.failure);
  const { made, token } = creation;
  if (json) process.stdout.write(`${JSON.stringify({ ...made, token })}\n`);
  else printSecret(`The token ${made.name} (${made.role}, ${endOf(made.expires_at)}, id ${made.id})`, token);
  return ExitCode.ok;
}

/** Makes a token for hosts to enrol with and prints it. */
export async function createEnrolment(
  flags: Flags & { uses?: string; expires?: string; json?: true },
): Promise<number> {
  const uses = /^\d{1,5}$/.test(flags.uses ?? "1") ? Number(flags.uses ?? "1") : 0;
  if (uses < 1 || uses > USES_MAX) throw usage(`--uses: expected a whole number from 1 to ${USES_MAX}`);
  const until = expiryOf(flags.expires) ?? new Date(Date.now() + ENROLMENT_MS);
  const { enrolment, token } = await withTokens(flags, ({ enrolments }) =>
    enrolments.create({ uses, until }, cliActor()),
  );
  if (flags.json) process.stdout.write(`${JSON.stringify({ ...enrolment, token })}\n`);
  else printSecret(`The enrolment token for ${uses} hosts (${endOf(until)}, id ${enrolment.id})`, token);
  if (!flags.json) printInstall(flags, { enrolToken: token });
  return ExitCode.ok;
}

/** Prints the tokens of the API that are good, newest first. */
export async function listAccessTokens(flags: Flags & { json?: true }): Promise<number> {
  const tokens = await withTokens(flags, ({ access }) =>
    allOf(async (page) => {
      const { tokens: rows, ...next } = await access.list(page);
      return { rows, ...next };
    }),
  );
  process.stdout.write(flags.json ? `${JSON.stringify(tokens)}\n` : tokenTable(tokens));
  return ExitCode.ok;
}

/** Prints the enrolment tokens that have uses left, newest first. */
export async function listEnrolments(flags: Flags & { json?: true }): Promise<number> {
  const found = await withTokens(flags, ({ enrolments }) =>
    allOf(async (page) => {
      const { enrolments: rows, ...next } = await enrolments.list(page);
      return { rows, ...next };
    }),
  );
  process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : enrolmentTable(found));
  return ExitCode.ok;
}

function tokenTable(tokens: readonly AccessToken[]): string {
  const rows = tokens.map(({ id, name, role, expires_at, last_used_at, last_used_from }): string[] => {
    const used = last_used_at === null ? "never" : `${last_used_at.toISOString()} from ${last_used_from}`;
    return [id, role satisfies Role, expires_at?.toISOString() ?? "never", used, name];
  });
  return tableOf(["TOKEN", "ROLE", "EXPIRES", "LAST USED", "NAME"], rows);
}

function enrolmentTable(enrolments: readonly Enrolment[]): string {
  const rows = enrolments.map(({ id, uses, uses_left, until }) => [id, `${uses_left}/${uses}`, until.toISOString()]);
  return tableOf(["ENROLMENT", "USES LEFT", "UNTIL"], rows);
}

function expiryOf(text: string | undefined): Date | null {
  return text === undefined ? null : new Date(Date.now() + durationFlag("--expires", text, EXPIRES));
}

function endOf(until: Date | null): string {
  return until === null ? "it does not expire" : `until ${until.toISOString()}`;
}

function usage(message: string): StartupError {
  return new StartupError(message, ExitCode.usage);
}
