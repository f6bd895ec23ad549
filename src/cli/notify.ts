import { hostname } from "node:os";
import { redact } from "../analysis/redact.ts";
import type { Notifier } from "../announcements/model.ts";
import { proxyOf } from "../config/proxy.ts";
import type { Flags } from "../config/sources.ts";
import { loadConfig, type SlackSettings } from "../config.ts";
import type { ProxyOf } from "../lib/bounded-fetch.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode, errorMessage, StartupError } from "../lib/errors.ts";
import { createLog } from "../lib/log.ts";
import { openOutlets } from "../outlets/list.ts";
import { sampleView } from "../slack/sample.ts";
import { createSlack } from "../slack/slack.ts";
import { createWebhookNotifier } from "../webhook/notifier.ts";

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
  const { slack: settings, webhook, notify, proxies, publicUrl, logLevel } = loadConfig(flags);
  const destination = { write: (line: string) => void process.stderr.write(line) };
  const log = createLog({ level: logLevel, readable: process.stderr.isTTY === true, destination });
  const via: ProxyOf = (url) => proxyOf(proxies, url);
  const outward = { redact: (text: string) => redact(text), clock: createSystemClock(), log, proxyOf: via };
  const slackOf = (own: SlackSettings) => createSlack({ ...outward, settings: own }).notifier;
  const webhookOf = (own: { url: string; secret: string }) => createWebhookNotifier({ ...outward, ...own });
  const all = [
    slackOf(settings),
    ...openOutlets(notify, { ...outward, publicUrl, createSlack: slackOf, createWebhook: webhookOf }),
    webhook && webhookOf(webhook),
  ];
  return all.filter((one) => one !== null);
}
