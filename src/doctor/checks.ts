import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { proxyOf as proxyFor } from "../config/proxy.ts";
import { endOf, type TlsPair } from "../config/tls.ts";
import type { Config } from "../config.ts";
import { createFetch, direct, fetchBounded, type ProxyOf } from "../lib/bounded-fetch.ts";
import { errorCode, errorMessage } from "../lib/errors.ts";
import { broken, doubtful, type Finding, fine } from "../lib/finding.ts";
import { fieldsOf, jsonOf } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import { checkOidc } from "../oidc/doctor.ts";
import { checkSlack } from "../slack/doctor.ts";
import { checkDatabase } from "./database.ts";
import { checkHeartbeat, checkWebhook } from "./webhook.ts";

const SLACK_LIMIT_MS = 20_000;
const SLACK_API = "https://slack.com/api";

/** Looks at everything that the settings name, all at once; nothing is changed, delivered or paid for. */
export async function examine(config: Config, log: Log): Promise<Finding[]> {
  const [database, outside, port] = await Promise.all([
    checkDatabase(config, log),
    examineOutside(config),
    checkPort(config),
  ]);
  return [
    fine("settings", "no mistakes"),
    ...(config.database === null ? checkDataDirectory(config.dataDir) : []),
    ...database.findings,
    checkClock([...database.clocks, ...outside.clocks]),
    port,
    ...(config.tls === null ? [] : [checkCertificate(config.tls, Date.now())]),
    ...outside.findings,
  ];
}

/** Calls whoever the settings name beyond this machine and its database; within half a minute, and never rejects. */
export async function examineOutside(config: Pick<Config, "ai" | "webhook" | "slack" | "oidc" | "proxies" | "routes">) {
  const via = (url: URL) => proxyFor(config.proxies, url);
  const [model, webhook, heartbeat, provider, messages, slackClock] = await Promise.all([
    checkModel(config.ai, via),
    checkWebhook(config.webhook?.url ?? null, via),
    checkHeartbeat(config.routes.heartbeatUrl, via),
    checkOidc(config.oidc, via),
    checkSlack(config.slack, { signal: AbortSignal.timeout(SLACK_LIMIT_MS), proxyOf: via }),
    readSlackClock(config.slack, via),
  ]);
  const found = [provider, ...messages, webhook, heartbeat, model.finding];
  const findings = found.filter((one) => one !== undefined);
  return { findings, clocks: [...model.clocks, ...slackClock] };
}

/** Slack refuses, and is refused, when the clocks are minutes apart. This method of its API does nothing and asks for no token. */
async function readSlackClock({ token, webhookUrl, apiUrl }: Config["slack"], via: ProxyOf): Promise<OtherClock[]> {
  if (token === null && webhookUrl === null) return [];
  const answer = await get(`${apiUrl ?? SLACK_API}/api.test`, { limitMs: SLACK_LIMIT_MS, proxyOf: via });
  return answer.ok && answer.skewS !== null ? [{ whose: "Slack", skewS: answer.skewS }] : [];
}

const MODEL_LIMIT_MS = 10_000;
const MODEL = "model";

/**
 * Whether the model's endpoint can be reached and takes the key: its list of models is asked for, which costs nothing. With
 * what was found comes the endpoint's clock.
 */
export async function checkModel({ key, baseUrl, model }: Config["ai"], proxyOf = direct) {
  const { host, hostname } = new URL(baseUrl);
  const isOpenRouter = hostname === "openrouter.ai";
  if (isOpenRouter && key === null) {
    return { finding: fine(MODEL, "none is set (OPENROUTER_KEY): the heuristics alone explain"), clocks: [] };
  }
  const headers: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  const list = await get(`${baseUrl}/models`, { headers, proxyOf, limitMs: MODEL_LIMIT_MS });
  // OpenRouter shows its list to everybody, whatever the key.
  const proof =
    isOpenRouter && list.ok ? await get(`${baseUrl}/key`, { headers, proxyOf, limitMs: MODEL_LIMIT_MS }) : list;
  const clocks = list.ok && list.skewS !== null ? [{ whose: host, skewS: list.skewS }] : [];
  return { finding: judge(host, model, list, proof), clocks };
}

function judge(host: string, model: string, list: Exchange, proof: Exchange): Finding {
  const failed = [list, proof].find((one) => !one.ok || one.status >= 300);
  if (failed) return judgeFailure(host, failed);
  const ids = list.ok ? idsOf(list.body) : undefined;
  if (!ids) return withoutList(host);
  if (ids.includes(model)) return fine(MODEL, `${host} answers and has ${model}`);
  return doubtful(MODEL, `${host} answers, but does not list ${model}`, "set AI_MODEL to a model that it has");
}

function judgeFailure(host: string, failed: Exchange): Finding {
  if (!failed.ok) {
    const todo = "check OPENROUTER_BASE_URL, the network, DNS and the firewall; until then the heuristics explain";
    return broken(MODEL, `${host} cannot be reached: ${failed.why}`, todo);
  }
  if (failed.status === 401 || failed.status === 403) {
    const todo = "set OPENROUTER_KEY to a key that is valid there";
    return broken(MODEL, `${host} refuses the key (${failed.status})`, todo);
  }
  if (failed.status === 404) return withoutList(host);
  return broken(MODEL, `${host} answers with status ${failed.status}`, "try again later; check OPENROUTER_BASE_URL");
}

function withoutList(host: string): Finding {
  const todo = "check OPENROUTER_BASE_URL: it usually ends in /v1";
  return doubtful(MODEL, `${host} answers, but with no list of models`, todo);
}

/** Undefined where it is no list as OpenAI's API has it. */
function idsOf(body: string): string[] | undefined {
  const { data } = fieldsOf(jsonOf(body));
  return Array.isArray(data) ? data.map((one) => String(one?.id)) : undefined;
}

const PORT_LIMIT_MS = 5_000;
const PORT = "port";

/** Whether the server could listen there, or who does. The port is taken for an instant only, and only if it is free. */
export async function checkPort(config: Pick<Config, "listen" | "tls">): Promise<Finding> {
  const { host, port } = config.listen;
  if (port === 0) return fine(PORT, "any free one is taken at the start (PORT=0)");
  const where = `${host} port ${port}`;
  const code = await tryToListen(host, port);
  switch (code) {
    case undefined:
      return fine(PORT, `${where} is free`);
    case "EADDRINUSE":
      return whoListens(where, baseOf(config));
    case "EACCES":
      return broken(PORT, `${where} needs rights that this user does not have`, "set PORT to one from 1024 up");
    case "EADDRNOTAVAIL":
      return broken(PORT, `this machine has no address ${host}`, "check HOST");
    default:
      return broken(PORT, `${where} cannot be listened on (${code})`, "check HOST and PORT");
  }
}

/** The server that listens where the settings say; undefined where none of ours answers. */
export async function findOpsPilot(config: Pick<Config, "listen" | "tls">) {
  const base = baseOf(config);
  const version = await askVersion(base);
  if (version === undefined) return undefined;
  const ready = await get(`${base}/readyz`, { limitMs: PORT_LIMIT_MS, ownCertificate: true });
  return { version, isReady: ready.ok && ready.status === 200 };
}

function baseOf({ listen: { host, port }, tls }: Pick<Config, "listen" | "tls">): string {
  return `${tls === null ? "http" : "https"}://${reachable(host)}:${port}`;
}

/** The system's word for why not. */
function tryToListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error) => resolve(errorCode(error, error.message)));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

async function whoListens(where: string, base: string): Promise<Finding> {
  const version = await askVersion(base);
  if (version === undefined) {
    const todo = "stop that program, or set PORT to a free one";
    return broken(PORT, `another program listens on ${where}`, todo);
  }
  return judgeReadiness(where, version, await get(`${base}/readyz`, { limitMs: PORT_LIMIT_MS, ownCertificate: true }));
}

function judgeReadiness(where: string, version: string, ready: Exchange): Finding {
  const text = `OpsPilot ${version} listens on ${where}`;
  if (ready.ok && ready.status === 200) return fine(PORT, `${text} and is ready`);
  const why = ready.ok ? `is not ready: ${ready.body.slice(0, 200)}` : `does not answer: ${ready.why}`;
  return doubtful(PORT, `${text}, but ${why}`, "look at its log");
}

async function askVersion(base: string): Promise<string | undefined> {
  const service = await get(`${base}/`, { limitMs: PORT_LIMIT_MS, ownCertificate: true });
  return service.ok ? versionOf(service.body) : undefined;
}

/** Of an answer that only OpsPilot gives. */
function versionOf(body: string): string | undefined {
  const { service, version } = fieldsOf(jsonOf(body));
  return service === "opspilot" ? String(version) : undefined;
}

/** Where one connects to reach a server that listens on all addresses. */
export function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

const MIB = 2 ** 20;
/** PostgreSQL stops when it cannot write its log. */
const FREE_BYTES_MIN = 256 * MIB;
/** A storm of alerts fills some hundred MB an hour. */
const FREE_BYTES_DOUBTFUL = 2048 * MIB;
const FREE_FILES_MIN = 1_000;

/** Whether the data directory can be written to, or made, and how much room is left there. Nothing is made. */
export function checkDataDirectory(dataDir: string): Finding[] {
  const place = nearestExisting(dataDir);
  const problem = objectionTo(place);
  const what = place === dataDir ? dataDir : `${dataDir} (not there yet, to be made in ${place})`;
  const todo = `give this user the right to write there (chown), or set OPSPILOT_DATA_DIR`;
  const directory =
    problem === undefined ? fine("data directory", what) : broken("data directory", `${what}: ${problem}`, todo);
  return [directory, checkDisk(place)];
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));
}

function objectionTo(path: string): string | undefined {
  if (!statSync(path).isDirectory()) return "is no directory";
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}

function checkDisk(path: string): Finding {
  const { bavail, bsize, ffree, files } = statfsSync(path);
  const freeBytes = bavail * bsize;
  const text = `${Math.floor(freeBytes / MIB)} MiB are free for ${path}`;
  const todo = "make room, move the directory (OPSPILOT_DATA_DIR), or keep less (RETENTION)";
  // Some file systems have no fixed number of files.
  if (files > 0 && ffree < FREE_FILES_MIN) return broken("disk", `only ${ffree} more files can be made on it`, todo);
  if (freeBytes < FREE_BYTES_MIN) return broken("disk", text, todo);
  return freeBytes < FREE_BYTES_DOUBTFUL ? doubtful("disk", text, todo) : fine("disk", text);
}

/** Whoever renews by itself does so earlier. */
const CERTIFICATE_DAYS_DOUBTFUL = 14;
const DAY_MS = 86_400_000;

/** How long the server's certificate is still good. */
export function checkCertificate(tls: TlsPair, nowMs: number): Finding {
  const name = "certificate";
  const days = Math.floor((endOf(tls) - nowMs) / DAY_MS);
  const date = new Date(endOf(tls)).toISOString().slice(0, 10);
  const todo = "renew the files of TLS_CERT and TLS_KEY: the server takes new ones by itself";
  if (days < 0) return broken(name, `it ended on ${date}: agents and browsers refuse it`, todo);
  const text = `it is good until ${date}, for ${days} more days`;
  return days < CERTIFICATE_DAYS_DOUBTFUL ? doubtful(name, text, todo) : fine(name, text);
}

/** Times of alerts and of presence are compared across this. */
const DOUBTFUL_S = 5;
/** Slack refuses, and is refused, at five minutes; what is silent is decided by less. */
const BROKEN_S = 60;

/** A clock that ours was compared with. */
export interface OtherClock {
  readonly whose: string;
  /** How far it is ahead of ours. */
  readonly skewS: number;
}

/** What a comparison with other clocks says about ours. */
export function checkClock(others: readonly OtherClock[]): Finding {
  const name = "clock";
  const worst = others.toSorted((a, b) => Math.abs(b.skewS) - Math.abs(a.skewS))[0];
  if (!worst) return fine(name, "there was no other clock to compare this machine's with");
  const apart = `${Math.abs(worst.skewS).toFixed(1)} s`;
  const text = `this machine's clock is ${apart} ${worst.skewS > 0 ? "behind" : "ahead of"} that of ${worst.whose}`;
  if (Math.abs(worst.skewS) <= DOUBTFUL_S) return fine(name, `within ${apart} of ${worst.whose}`);
  const todo = "let both machines take their time from the network (timedatectl set-ntp true)";
  return Math.abs(worst.skewS) <= BROKEN_S ? doubtful(name, text, todo) : broken(name, text, todo);
}

/** A list of all models has some hundred KB. */
const BODY_BYTES_MAX = 8 * 2 ** 20;

/** What a service answered, or why there is no answer. */
type Exchange =
  | { readonly ok: true; readonly status: number; readonly body: string; readonly skewS: number | null }
  | { readonly ok: false; readonly why: string };

/** One GET: no redirect is followed, and a body that is too long is no answer. `skewS`: how far the service's clock is ahead of ours. */
export async function get(
  url: string,
  options: { headers?: Record<string, string>; limitMs: number; ownCertificate?: boolean; proxyOf?: ProxyOf },
): Promise<Exchange> {
  const { headers = {}, limitMs, ownCertificate } = options;
  try {
    const init = {
      headers: { "user-agent": "opspilot", ...headers },
      keepalive: false,
      signal: AbortSignal.timeout(limitMs),
      ...(ownCertificate ? { tls: { rejectUnauthorized: false } } : {}),
    };
    const response = await fetchBounded(url, init, BODY_BYTES_MAX, createFetch(options.proxyOf ?? direct));
    const skewS = skewOf(response.headers.get("date"));
    return { ok: true, status: response.status, body: await response.text(), skewS };
  } catch (error) {
    return { ok: false, why: errorMessage(error) };
  }
}

/** The header has whole seconds. */
function skewOf(date: string | null): number | null {
  const serviceMs = Date.parse(date ?? "");
  return Number.isNaN(serviceMs) ? null : (serviceMs + 500 - Date.now()) / 1000;
}
