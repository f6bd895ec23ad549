import { hostname } from "node:os";
import type { Notifier } from "../announcements/model.ts";
import type { Flags } from "../config/sources.ts";
import { loadConfig } from "../config.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode, errorMessage, StartupError } from "../lib/errors.ts";
import { createLog } from "../lib/log.ts";
import { createOutlets } from "../server/outlets.ts";
import { sampleView } from "../slack/sample.ts";

const POST_LIMIT_MS = 20_000;

/** Sends a sample by each outlet, or by the one of this name; 1 when one does not arrive, and then it says why. */
export async function testNotify(name: string | undefined, flags: Flags): Promise<number> {
  const outlets = outletsOf(flags);
  const meant = name === undefined ? outlets : outlets.filter(({ outlet }) => outlet === name);
  const names = outlets.map(({ outlet }) => outlet).join(", ");
  if (outlets.length === 0)
    throw new StartupError("no outlet is set up: NOTIFY, SLACK_* or WEBHOOK_URL", ExitCode.config);
  if (meant.length === 0) throw new StartupError(`there is no such outlet: expected one of ${names}`, ExitCode.usage);
  const view = sampleView(hostname(), Date.now());
  const widest = Math.max(...meant.map(({ outlet }) => outlet.length));
  // At once: one that does not answer holds up none of the others.
  const results = await Promise.all(meant.map((one) => outcomeOf(one.post(view, AbortSignal.timeout(POST_LIMIT_MS)))));
  for (const [at, { outlet }] of meant.entries()) process.stdout.write(`${outlet.padEnd(widest)}  ${results[at]}\n`);
  return results.every((one) => one === SENT) ? ExitCode.ok : ExitCode.failure;
}

const SENT = "sent";

async function outcomeOf(post: Promise<unknown>): Promise<string> {
  try {
    await post;
    return SENT;
  } catch (error) {
    return `not sent: ${errorMessage(error)}`;
  }
}

function outletsOf(flags: Flags): Notifier[] {
  const config = loadConfig(flags);
  const destination = { write: (line: string) => void process.stderr.write(line) };
  const log = createLog({ level: config.logLevel, readable: process.stderr.isTTY === true, destination });
  return createOutlets(config, { clock: createSystemClock(), log }).notifiers;
}
