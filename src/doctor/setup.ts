import type { Config } from "../config.ts";
import type { Database } from "../db/client.ts";
import { isLoopbackHost } from "../lib/addresses.ts";
import { errorMessage } from "../lib/errors.ts";
import { broken, doubtful, type Finding, fine } from "../lib/finding.ts";
import type { Log } from "../lib/log.ts";
import { OIDC_PART } from "../oidc/doctor.ts";
import { transportOf } from "../slack/transport.ts";
import { checkClock, checkDataDirectory, examineOutside, type OtherClock } from "./checks.ts";
import { examineDatabase } from "./database.ts";

/** How one part of the server stands; `off`: it is not set up, and need not be. */
export const SETUP_STATES = ["ok", "off", "warn", "fail"] as const;

/** One part of the server, in words without a secret. */
export interface SetupPart {
  readonly part: string;
  readonly state: (typeof SETUP_STATES)[number];
  readonly text: string;
  /** What to do about it; null where nothing is to be done. */
  readonly todo: string | null;
}

/** What is set up, and what is missing. */
export interface SetupService {
  /** By what this server knows; with `probe` those who are beyond it are called, which takes half a minute at most. Never rejects. */
  look(options: { probe: boolean }): Promise<SetupPart[]>;
}

export interface SetupDeps {
  config: Config;
  database: Pick<Database, "sql" | "layout" | "sessionTarget">;
  /** Where the data is. */
  where: string;
  /** What keeps the server from its work, by name; "ok" where nothing does. */
  readiness: () => Promise<{ readonly checks: Readonly<Record<string, string>> }>;
  log: Log;
}

/** Makes it for a server that runs. */
export function createSetup({ config, database, where, readiness, log }: SetupDeps): SetupService {
  let probing: ReturnType<typeof examineOutside> | undefined;

  /** One at a time, whoever asks: what comes of it is for all of them. */
  function probe(): ReturnType<typeof examineOutside> {
    probing ??= examineOutside(config).finally(() => {
      probing = undefined;
    });
    return probing;
  }

  async function lookAtDatabase(): Promise<{ findings: Finding[]; clocks: OtherClock[] }> {
    const { host } = database.sessionTarget;
    try {
      return await examineDatabase(database, { name: "database", where, host }, log);
    } catch (error) {
      const text = `${where} does not answer: ${errorMessage(error)}`;
      return { findings: [broken("database", text, "look at it, and at this server's log")], clocks: [] };
    }
  }

  return {
    async look({ probe: isProbed }) {
      const [work, stored, outside] = await Promise.all([
        readiness(),
        lookAtDatabase(),
        isProbed ? probe() : undefined,
      ]);
      const clocks = [...stored.clocks, ...(outside?.clocks ?? [])];
      return [
        describeWork(work.checks),
        describeAccess(config),
        describeTransport(config),
        describeAddress(config),
        describeEnrollment(config),
        ...stored.findings.map(partOf),
        ...(config.database === null ? checkDataDirectory(config.dataDir).map(partOf) : []),
        ...(clocks.length > 0 ? [partOf(checkClock(clocks))] : []),
        describeRetention(config),
        ...(outside ? describeProbed(outside.findings, config) : describeOutside(config)),
      ];
    },
  };
}

const partOf = ({ name, status, text, todo }: Finding): SetupPart => ({ part: name, state: status, text, todo });

const off = (part: string, text: string, todo: string): SetupPart => ({ part, state: "off", text, todo });

function describeWork(checks: Readonly<Record<string, string>>): SetupPart {
  const wrong = Object.entries(checks).filter(([, word]) => word !== "ok");
  if (wrong.length === 0) return partOf(fine("server", "it does its work"));
  const text = wrong.map(([name, word]) => `${name}: ${word}`).join("; ");
  return partOf(broken("server", text, "look at this server's log"));
}

function describeAccess({ access, listen }: Config): SetupPart {
  if (access.mode === "token")
    return partOf(fine("access", "token: people sign in with ADMIN_TOKEN, or a token of their own"));
  if (isLoopbackHost(listen.host)) return partOf(fine("access", "open: no credential is asked for on this machine"));
  const text = "open, by ACCESS=open: whoever reaches this address may run commands on every agent";
  return partOf(
    doubtful("access", text, "set ADMIN_TOKEN and remove ACCESS=open, unless the network itself is closed"),
  );
}

function describeTransport({ tls, publicUrl, listen }: Config): SetupPart {
  if (tls !== null) return partOf(fine("TLS", "on, by TLS_CERT and TLS_KEY"));
  if (publicUrl?.startsWith("https:")) return partOf(fine("TLS", "by the proxy that PUBLIC_URL leads to"));
  const todo = "set TLS_CERT and TLS_KEY, or put a proxy with TLS in front and set PUBLIC_URL";
  if (isLoopbackHost(listen.host)) return off("TLS", "off: only this machine is served", todo);
  return partOf(doubtful("TLS", "off: tokens and commands go over the network as they are", todo));
}

function describeAddress({ publicUrl }: Config): SetupPart {
  const part = "address";
  if (publicUrl === null) {
    return off(
      part,
      "PUBLIC_URL is not set: messages in Slack do not lead here",
      "set PUBLIC_URL to where people reach it",
    );
  }
  if (new URL(publicUrl).pathname === "/") return partOf(fine(part, `${publicUrl}; messages in Slack lead there`));
  const text = `PUBLIC_URL (${publicUrl}) has a path, and this page is at /app of a host of its own`;
  return partOf(doubtful(part, text, "give OpsPilot a name or a port of its own"));
}

function describeEnrollment({ enrollment }: Config): SetupPart {
  if (enrollment === "closed") return partOf(fine("enrolment", "closed: a host's token is made here first"));
  return partOf(fine("enrolment", "open: an unknown agent token makes a new agent"));
}

const HOUR_MS = 3_600_000;

function inWords(ms: number): string {
  const hours = ms / HOUR_MS;
  if (hours >= 48) return `${Math.round(hours / 24)} days`;
  return hours >= 1 ? `${Math.round(hours)} h` : `${Math.round(hours * 60)} min`;
}

function describeRetention({ retentionMs, autoResolveMs }: Config): SetupPart {
  const quiet =
    autoResolveMs === null
      ? "quiet incidents stay open (AUTO_RESOLVE)"
      : `incidents without an alert for ${inWords(autoResolveMs)} are resolved (AUTO_RESOLVE)`;
  return partOf(fine("history", `kept for ${inWords(retentionMs)} (RETENTION); ${quiet}`));
}

/** What the settings say of those who are beyond this server; none of them is called. */
function describeOutside(config: Config): SetupPart[] {
  return [
    describeOidc(config),
    describeSlack(config),
    describeWebhook(config),
    describeNotify(config),
    describeHeartbeat(config),
    describeModel(config),
  ];
}

function describeOidc({ oidc }: Config): SetupPart {
  if (oidc === null) return off(OIDC_PART, "off: people sign in with tokens", "set OIDC_ISSUER; see the README");
  const roles = oidc.roles.map(({ group, role }) => `${group}:${role}`).join(", ");
  return partOf(fine(OIDC_PART, `people sign in at ${new URL(oidc.issuer).host}; groups have the roles ${roles}`));
}

const SLACK_TODO = "`opspilot slack manifest` says how; see the README";

function describeSlack({ slack }: Config): SetupPart {
  const { posting, buttons, description } = transportOf(slack);
  if (/is missing|cannot be checked/.test(description)) {
    return partOf(doubtful("Slack", description, "see .env.example for what belongs together"));
  }
  if (posting.by === "none") return off("Slack", description, SLACK_TODO);
  return { part: "Slack", state: "ok", text: description, todo: buttons === "none" ? SLACK_TODO : null };
}

function describeWebhook({ webhook }: Config): SetupPart {
  if (webhook === null) return off("webhook", "off: WEBHOOK_URL is not set", "set WEBHOOK_URL and WEBHOOK_SECRET");
  return partOf(fine("webhook", `events are sent to ${new URL(webhook.url).host}`));
}

function describeNotify({ notify }: Config): SetupPart {
  if (notify.length === 0) return off("outlets", "off: NOTIFY is not set", "set NOTIFY, such as ntfy://host/topic");
  const names = notify.map(({ url: { name, scheme } }) => (name === scheme ? name : `${name} (${scheme})`)).join(", ");
  return partOf(fine("outlets", `${names}; \`opspilot notify test\` sends each a sample`));
}

function describeHeartbeat({ routes: { heartbeatUrl } }: Config): SetupPart {
  const part = "heartbeat";
  if (heartbeatUrl === null)
    return off(part, "off: nobody hears it when this server falls silent", "set HEARTBEAT_URL");
  return partOf(fine(part, `${new URL(heartbeatUrl).host} is called each minute while all is well`));
}

function describeModel({ ai }: Config): SetupPart {
  const { hostname, host } = new URL(ai.baseUrl);
  if (hostname === "openrouter.ai" && ai.key === null) {
    return off(
      "model",
      "off: the heuristics alone explain",
      "set OPENROUTER_KEY, or OPENROUTER_BASE_URL to a model of yours",
    );
  }
  const when = ai.auto ? "" : "; asked only when somebody wants it (AI_AUTO=off)";
  return partOf(fine("model", `${ai.model} at ${host}${when}`));
}

/** What a probe found; of what is not set there is nothing to find. */
function describeProbed(findings: readonly Finding[], config: Config): SetupPart[] {
  const notSet = describeOutside(config).filter(({ state }) => state === "off");
  const found = findings.map(partOf).filter(({ part }) => !notSet.some((one) => one.part === part));
  return [...found, ...notSet];
}
