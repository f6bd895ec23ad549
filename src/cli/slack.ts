import { hostname } from "node:os";
import { redact } from "../analysis/redact.ts";
import { proxyOf } from "../config/proxy.ts";
import type { Flags } from "../config/sources.ts";
import { loadConfig } from "../config.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode, errorMessage, StartupError } from "../lib/errors.ts";
import { createLog } from "../lib/log.ts";
import { adviceFor } from "../slack/doctor.ts";
import { manifestYaml, slackManifest } from "../slack/manifest.ts";
import { sampleView } from "../slack/sample.ts";
import { createSlack } from "../slack/slack.ts";

const POST_LIMIT_MS = 20_000;

/** Posts a sample where incidents would be posted; 1 when it does not arrive, and then it says why. */
export async function testSlack(flags: Flags): Promise<number> {
  const { slack: settings, proxies, logLevel } = loadConfig(flags);
  const destination = { write: (line: string) => void process.stderr.write(line) };
  const log = createLog({ level: logLevel, readable: process.stderr.isTTY === true, destination });
  const clock = createSystemClock();
  const { notifier, description } = createSlack({
    settings,
    redact,
    clock,
    log,
    proxyOf: (url) => proxyOf(proxies, url),
  });
  if (notifier === null) throw new StartupError(`Slack is ${description}`, ExitCode.config);
  process.stdout.write(`Slack: ${description}\n`);
  try {
    const view = sampleView(hostname(), clock.now());
    const { externalId } = await notifier.post(view, AbortSignal.timeout(POST_LIMIT_MS));
    process.stdout.write(`The sample was posted${externalId === null ? "" : ` (${externalId})`}.\n`);
    return ExitCode.ok;
  } catch (error) {
    const text = errorMessage(error);
    throw new StartupError(`the sample was not posted: ${text}\n  ${adviceFor(text)}`, ExitCode.failure, {
      cause: error,
    });
  }
}

/** Prints the manifest on standard output, and what to do with it on standard error. */
export async function printManifest({ json, url }: { json?: true; url?: string }): Promise<number> {
  const publicUrl = url ?? null;
  if (publicUrl !== null && URL.parse(publicUrl)?.protocol !== "https:") {
    throw new StartupError("--url: expected an https URL, such as https://ops.example.com", ExitCode.usage);
  }
  const text = json ? `${JSON.stringify(slackManifest(publicUrl), null, 2)}\n` : manifestYaml(publicUrl);
  process.stdout.write(text);
  process.stderr.write(stepsFor(publicUrl));
  return ExitCode.ok;
}

function stepsFor(publicUrl: string | null): string {
  const callbacks =
    publicUrl === null
      ? "Basic Information → App-Level Tokens → Generate, with connections:write: SLACK_APP_TOKEN (xapp-…)"
      : "Basic Information → Signing Secret: SLACK_SIGNING_SECRET";
  const steps = [
    "https://api.slack.com/apps → Create New App → From a manifest: paste the above",
    "Install to Workspace; OAuth & Permissions → Bot User OAuth Token: SLACK_TOKEN (xoxb-…)",
    callbacks,
    "In the channel: /invite @OpsPilot; its id, at the end of About: SLACK_CHANNEL",
    "`opspilot slack test` posts a sample, `opspilot doctor` checks the rest",
  ];
  return `\n${steps.map((step, at) => `${at + 1}. ${step}`).join("\n")}\n`;
}
