import type { TransactionSql } from "postgres";
import type { Flags } from "../config/sources.ts";
import { type Config, loadConfig } from "../config.ts";
import { beginning } from "../cron/machine.ts";
import type { JobSpec } from "../cron/model.ts";
import { readJob } from "../cron/spec.ts";
import { createJobStore } from "../cron/store.ts";
import { migrate } from "../db/migrate.ts";
import { createHolderStore } from "../fleet/holder-store.ts";
import { integrationSetup } from "../http/integration-setup.ts";
import { createIncidentWriter } from "../incidents/write-store.ts";
import {
  INTEGRATION_KINDS,
  INTEGRATION_NAME,
  type Integration,
  type IntegrationKind,
  type IntegrationService,
} from "../integrations/model.ts";
import { createIntegrations } from "../integrations/service.ts";
import { createIntegrationStore } from "../integrations/store.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";
import { isUuid } from "../lib/uuid.ts";
import { allOf, cliActor, durationFlag, printSecret, tableOf } from "./token-services.ts";
import { withDatabase } from "./with-database.ts";

/** Flags of `integration create`. */
export interface IntegrationFlags extends Flags {
  readonly kind?: string;
  readonly name?: string;
  readonly schedule?: string;
  readonly zone?: string;
  readonly every?: string;
  readonly grace?: string;
  readonly limit?: string;
  readonly json?: true;
}

/** Makes an integration, and prints its token and the lines to paste where it alerts. */
export async function createIntegration(flags: IntegrationFlags): Promise<number> {
  const { name = "" } = flags;
  const kind = INTEGRATION_KINDS.find((one) => one === flags.kind);
  if (kind === undefined) throw usage(`--kind: expected ${INTEGRATION_KINDS.join(" or ")}`);
  if (!new RegExp(INTEGRATION_NAME).test(name)) {
    throw usage("--name: expected 1 to 64 letters, digits, spaces and . _ + -, with a letter or digit at both ends");
  }
  const creation = await withIntegrations(flags, (integrations) =>
    integrations.create({ kind, name, ...jobOf(kind, flags) }, cliActor()),
  );
  if (!creation.ok) throw new StartupError(creation.message, ExitCode.failure);
  printNew(flags, creation.made, creation.token);
  return ExitCode.ok;
}

const DAY_MS = 86_400_000;
const EVERY = { minMs: 60_000, maxMs: 366 * DAY_MS, words: "a duration such as 1h, from 1m to 366d" };
const PATIENCE = { minMs: 0, maxMs: 366 * DAY_MS, words: "a duration such as 30m, to 366d at most" };
const FLAG_OF: Readonly<Record<string, string>> = { schedule: "schedule", zone: "zone", every_s: "every" };

/** What is expected of a job; of another kind it is a mistake to say so. */
function jobOf(kind: IntegrationKind, flags: IntegrationFlags): { job?: JobSpec } {
  const { schedule, zone, every, grace, limit } = flags;
  if (kind !== "cron") {
    const given = Object.entries({ schedule, zone, every, grace, limit }).find(([, value]) => value !== undefined);
    if (given !== undefined) throw usage(`--${given[0]} goes with --kind cron alone`);
    return {};
  }
  const inSeconds = (name: string, text: string | undefined, range: typeof EVERY) =>
    text === undefined ? undefined : durationFlag(name, text, range) / 1000;
  const read = readJob({
    schedule,
    zone,
    every_s: inSeconds("--every", every, EVERY),
    grace_s: inSeconds("--grace", grace, PATIENCE),
    limit_s: inSeconds("--limit", limit, PATIENCE),
  });
  if (read.ok) return { job: read.spec };
  const [fault] = read.faults;
  throw usage(`--${FLAG_OF[fault?.field ?? ""]}: ${fault?.message}`);
}

/** Gives an integration another token, and prints the same; 1 when there is none of this id. */
export async function rotateIntegration(id: string, flags: IntegrationFlags): Promise<number> {
  requireId(id);
  const rotated = await withIntegrations(flags, (integrations) => integrations.rotate(id, cliActor()));
  if (!rotated) throw none(id);
  printNew(flags, rotated.integration, rotated.token);
  return ExitCode.ok;
}

/** Prints the integrations, newest first. */
export async function listIntegrations(flags: IntegrationFlags): Promise<number> {
  const found = await withIntegrations(flags, (integrations) =>
    allOf(async (page) => {
      const { integrations: rows, ...next } = await integrations.list(page);
      return { rows, ...next };
    }),
  );
  process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : integrationTable(found));
  return ExitCode.ok;
}

/** Removes an integration; 1 when there is none of this id. */
export async function revokeIntegration(id: string, flags: IntegrationFlags): Promise<number> {
  requireId(id);
  if (!(await withIntegrations(flags, (integrations) => integrations.revoke(id, cliActor())))) throw none(id);
  process.stderr.write(`The integration ${id} is revoked; its incidents stay.\n`);
  return ExitCode.ok;
}

/** Beside a running server, or alone; on a new database the tables are made first. */
function withIntegrations<T>(flags: Flags, use: (integrations: IntegrationService) => Promise<T>): Promise<T> {
  return withDatabase(loadConfig(flags), async (database, log) => {
    await migrate(database, log);
    const { sql } = database;
    const { add: addHolder } = createHolderStore(sql);
    const audit = createIncidentWriter();
    const jobs = createJobStore(sql, audit);
    const addJob = async (tx: TransactionSql, id: string, spec: JobSpec) =>
      jobs.add(tx, id, spec, beginning(spec, await jobs.nowMs(tx)));
    return use(createIntegrations(createIntegrationStore({ sql, audit, addHolder, addJob })));
  });
}

function printNew(flags: IntegrationFlags, { id, kind, name }: Integration, token: string): void {
  const { url, setup } = integrationSetup(kind, addressOf(loadConfig(flags)), token);
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ id, kind, name, token, url })}\n`);
    return;
  }
  printSecret(`The token of the integration ${name} (${kind}, id ${id})`, token);
  process.stderr.write(`Where it alerts:\n${setup}`);
}

/** PUBLIC_URL, else where the server is from its own machine. */
function addressOf({ publicUrl, listen: { host, port }, tls }: Config): string {
  if (publicUrl !== null) return publicUrl;
  const isAnywhere = host === "0.0.0.0" || host === "::";
  const name = isAnywhere ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  return `${tls === null ? "http" : "https"}://${name}:${port}`;
}

function integrationTable(integrations: readonly Integration[]): string {
  const rows = integrations.map(({ id, kind, name, last_used_at }) => [
    id,
    kind,
    last_used_at?.toISOString() ?? "never",
    name,
  ]);
  return tableOf(["INTEGRATION", "KIND", "LAST USED", "NAME"], rows);
}

function requireId(id: string): void {
  if (!isUuid(id)) throw usage("expected an integration's id, as `opspilot integration list` shows it");
}

function none(id: string): StartupError {
  return new StartupError(`there is no integration ${id}`, ExitCode.failure);
}

function usage(message: string): StartupError {
  return new StartupError(message, ExitCode.usage);
}
