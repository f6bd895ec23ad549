import type { Check, HttpCheck } from "../../config/check-model.ts";
import type { Clock } from "../../lib/clock.ts";
import { unreachable } from "../../lib/errors.ts";
import { probeDns } from "./dns.ts";
import { probeHttp } from "./http.ts";
import type { Attempt, Finding, Outcome } from "./model.ts";
import { probeTcp } from "./tcp.ts";
import { probeTls } from "./tls.ts";

/** Tries it once, in its time; undefined where the signal ended it. Nothing it says holds a secret of the check. */
export async function probe(check: Check, clock: Clock, signal: AbortSignal): Promise<Outcome | undefined> {
  const startMs = clock.monotonicMs();
  const finding = await inTime(check.timeoutMs, clock, signal, (attempt) => findingOf(check, attempt));
  if (signal.aborted) return undefined;
  return { ...withoutSecrets(finding, check.secrets), tookMs: clock.monotonicMs() - startMs };
}

/** The certificates of a web server, which its answers do not show. */
export async function probeCertificate(check: HttpCheck, clock: Clock, signal: AbortSignal): Promise<Finding> {
  const { hostname, port } = new URL(check.url);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const address = { ...check, host, port: port === "" ? 443 : Number(port) };
  const finding = await inTime(check.timeoutMs, clock, signal, (attempt) => probeTls(address, attempt));
  return withoutSecrets(finding, check.secrets);
}

function findingOf(check: Check, attempt: Attempt): Promise<Finding> {
  switch (check.kind) {
    case "http":
      return probeHttp(check, attempt);
    case "tcp":
      return probeTcp(check, attempt);
    case "tls":
      return probeTls(check, attempt);
    case "dns":
      return probeDns(check, attempt);
    default:
      return unreachable(check);
  }
}

async function inTime(
  limitMs: number,
  clock: Clock,
  signal: AbortSignal,
  work: (attempt: Attempt) => Promise<Finding>,
): Promise<Finding> {
  const over = new AbortController();
  const end = () => over.abort();
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  let lack = "no answer";
  const waitsFor = (what: string) => {
    lack = what;
  };
  try {
    // Some waits of the system cannot be ended; nobody waits for those any more.
    const finding = await Promise.race([
      work({ signal: over.signal, clock, waitsFor }),
      clock.sleep(limitMs, over.signal).then(() => undefined),
    ]);
    // What was cut off tells of being cut off.
    return finding ?? { isWell: false, text: `timed out: ${lack} within ${limitMs / 1000} s` };
  } finally {
    signal.removeEventListener("abort", end);
    end();
  }
}

function withoutSecrets({ text, details, ...rest }: Finding, secrets: readonly string[]): Finding {
  const hide = (words: string) => secrets.reduce((left, secret) => left.replaceAll(secret, "…"), words);
  return { ...rest, text: hide(text), ...(details ? { details: hide(details) } : {}) };
}
