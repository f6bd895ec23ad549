import type { Config } from "../../config.ts";
import { type Finding, fine } from "../../lib/finding.ts";
import type { Log } from "../../lib/log.ts";
import { checkClock, type OtherClock } from "./clock.ts";
import { checkDataDirectory } from "./data-directory.ts";
import { checkDatabase } from "./database.ts";
import { get } from "./exchange.ts";
import { checkModel } from "./model.ts";
import { checkPort } from "./port.ts";
import { checkWebhook } from "./webhook.ts";

const SLACK_LIMIT_MS = 20_000;
const SLACK_API = "https://slack.com/api";

export interface DoctorDeps {
  config: Config;
  log: Log;
  /** Scopes, channel and connection, without a message. */
  slack: (settings: Config["slack"], options: { signal: AbortSignal }) => Promise<Finding[]>;
}

/** Looks at everything that the settings name, all at once; nothing is changed, delivered or paid for. */
export async function examine({ config, log, slack }: DoctorDeps): Promise<Finding[]> {
  const [database, model, webhook, port, messages, slackClock] = await Promise.all([
    checkDatabase(config, log),
    checkModel(config.ai),
    checkWebhook(config.webhook?.url ?? null),
    checkPort(config),
    slack(config.slack, { signal: AbortSignal.timeout(SLACK_LIMIT_MS) }),
    readSlackClock(config.slack),
  ]);
  return [
    fine("settings", "no mistakes"),
    ...(config.database === null ? checkDataDirectory(config.dataDir) : []),
    ...database.findings,
    checkClock([...database.clocks, ...model.clocks, ...slackClock]),
    port,
    ...messages,
    ...(webhook ? [webhook] : []),
    model.finding,
  ];
}

/** Slack refuses, and is refused, when the clocks are minutes apart. This method of its API does nothing and asks for no token. */
async function readSlackClock({ token, webhookUrl, apiUrl }: Config["slack"]): Promise<OtherClock[]> {
  if (token === null && webhookUrl === null) return [];
  const answer = await get(`${apiUrl ?? SLACK_API}/api.test`, { limitMs: SLACK_LIMIT_MS });
  return answer.ok && answer.skewS !== null ? [{ whose: "Slack", skewS: answer.skewS }] : [];
}
