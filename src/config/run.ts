import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { errorCode } from "../lib/errors.ts";
import { readSurroundings, type Surroundings } from "./environment.ts";
import { proxyOf, readProxies } from "./proxy.ts";
import { ConfigError, describeSettings, Mistakes, RawProxySettings, setting, text } from "./settings.ts";
import { readKind } from "./sources.ts";

/** Flags of `opspilot run`. */
export interface RunFlags {
  readonly ping?: string;
  readonly pingFile?: string;
  readonly ca?: string;
}

const PING_EXPECTED =
  "the ping's URL, such as https://ops.example.com/v1/ping/…, without user, password, query or fragment";

const RawRunSettings = Type.Partial(
  Type.Object({
    OPSPILOT_PING: setting("^https?://", PING_EXPECTED),
    OPSPILOT_CA: text("the path of a PEM file"),
    ...RawProxySettings,
  }),
);

const RUN_SETTINGS = describeSettings<keyof Static<typeof RawRunSettings>>(RawRunSettings, {
  secrets: ["OPSPILOT_PING"],
  unquoted: ["HTTPS_PROXY", "HTTP_PROXY"],
});

/** The job has no use for them, and would show them where it shows its environment. */
const NOT_FOR_JOBS = ["OPSPILOT_PING", "OPSPILOT_PING_FILE"];

/**
 * How a job is run, from flags and environment. The job runs whatever is wrong with them: that is in `complaint`, and there is no ping
 * then.
 */
export function readRunConfig({ ping, pingFile, ca }: RunFlags, surroundings: Surroundings = readSurroundings()) {
  const mistakes = new Mistakes();
  const given = { OPSPILOT_PING: ping, OPSPILOT_PING_FILE: pingFile, OPSPILOT_CA: ca };
  const raw = readKind(RUN_SETTINGS, { given, envFile: null }, surroundings, mistakes);
  const proxies = readProxies(raw, mistakes);
  const missing = "must be set: the URL that `opspilot integration create --kind cron` prints (or give --ping)";
  mistakes.need("OPSPILOT_PING", raw.OPSPILOT_PING, missing);
  const url = raw.OPSPILOT_PING === undefined ? undefined : pingUrlOf(raw.OPSPILOT_PING, mistakes);
  const authority = raw.OPSPILOT_CA === undefined ? null : readCa(resolve(surroundings.cwd, raw.OPSPILOT_CA), mistakes);
  const complaint = mistakes.found.length > 0 ? new ConfigError(mistakes.found).message : null;
  return Object.freeze({
    /** Null: nothing is told. */
    ping: url === undefined || complaint !== null ? null : url,
    /** In PEM, instead of the usual authorities. */
    ca: authority,
    proxyOf: (to: URL) => proxyOf(proxies, to),
    /** The job's environment. */
    env: Object.fromEntries(Object.entries(surroundings.env).filter(([name]) => !NOT_FOR_JOBS.includes(name))),
    complaint,
  });
}

function pingUrlOf(text: string, mistakes: Mistakes): string | undefined {
  const url = URL.parse(text);
  if (url && url.hostname !== "" && url.username + url.password + url.search + url.hash === "")
    return url.href.replace(/\/+$/, "");
  return mistakes.add("OPSPILOT_PING", `expected ${PING_EXPECTED}`);
}

function readCa(path: string, mistakes: Mistakes): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    mistakes.add("OPSPILOT_CA", `${path} cannot be read (${errorCode(error)})`);
    return null;
  }
}
