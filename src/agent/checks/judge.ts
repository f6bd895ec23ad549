/**
 * What is told of a check, as up to three problems, each with a life of its own:
 *
 *   NAME                  it fails, `for` times in a row     over: well as often, and for its hold time
 *   NAME (slow)           the same, of answers that take too long
 *   NAME (certificate)    a certificate ends soon            over: another one, which ends later
 */
import type { Check } from "../../config/check-model.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Episodes } from "../collectors/episodes.ts";
import type { createSteadyWatch } from "../collectors/steady.ts";
import { createThreshold, type Level } from "../collectors/threshold.ts";
import type { HostAlert, ReportAlert } from "../model.ts";
import type { FirstToEnd, Outcome } from "./model.ts";

/** While it is not clear yet whether it is broken, or well again, a check is repeated sooner. */
export const RECHECK_MS = 15_000;
/** The server takes what comes again within five minutes as the same; what comes later would look like another problem. */
const REPEATED_MS = 240_000;
const DAY_MS = 86_400_000;
/** A certificate that ends within this share of the time in which it is told is urgent. */
const URGENT_SHARE = 0.25;
const OUTCOMES_SHOWN = 12;

/** Who is too slow, in alerts. */
export const slowSource = (name: string) => `${name} (slow)`;
/** Whose certificate ends, in alerts. */
export const certificateSource = (name: string) => `${name} (certificate)`;

interface JudgeDeps {
  readonly check: Check;
  readonly clock: Clock;
  readonly episodes: Episodes;
  readonly steady: ReturnType<typeof createSteadyWatch>;
  readonly report: ReportAlert;
  /** What was told of its certificate before a restart. */
  readonly toldLevel: Level | undefined;
}

/** Judges one check, outcome by outcome. */
export function createJudge({ check, clock, episodes, steady, report, toldLevel }: JudgeDeps) {
  const { name, slowMs, severity } = check;
  const down = createStreak(name);
  const slow = createStreak(slowSource(name));
  const expiryDays = "expiryMs" in check && check.expiryMs !== null ? check.expiryMs / DAY_MS : null;
  const limits = { high: -(expiryDays ?? 0), critical: -(expiryDays ?? 0) * URGENT_SHARE, margin: 0, holdMs: 0 };
  const certificate = createThreshold(limits, clock, toldLevel);
  const recent: string[] = [];

  /** Failures that follow each other. */
  function createStreak(source: string) {
    let failures = 0;
    let isUnsure = false;
    return {
      isUnsure: () => isUnsure,
      async fails(what: string, severity: HostAlert["severity"] & string): Promise<void> {
        failures++;
        steady.forget(source);
        const isTold = episodes.has(source);
        isUnsure = !isTold && failures < check.failures;
        if (isUnsure || (isTold && check.intervalMs > REPEATED_MS)) return;
        const times = isTold ? 1 : failures;
        await episodes.fail({ source, what, atMs: clock.now(), severity, times, logs: async () => recent.join("\n") });
      },
      async isWell(how: string): Promise<void> {
        failures = 0;
        const holdMs = (check.failures - 1) * recheckMs(check);
        if (episodes.has(source)) await steady.look(source, { state: "well", identity: "", how }, holdMs);
        isUnsure = episodes.has(source);
      },
    };
  }

  function remember({ isWell, text, details, tookMs }: Outcome): void {
    const at = new Date(clock.now()).toISOString().slice(0, 19);
    const more = details ? `\n${details}` : "";
    recent.push(`${at}Z ${isWell ? "well" : "failed"}: ${text} (after ${Math.round(tookMs)} ms)${more}`);
    if (recent.length > OUTCOMES_SHOWN) recent.shift();
  }

  async function judgeTime({ text, tookMs }: Outcome): Promise<void> {
    const took = `${Math.round(tookMs)} ms`;
    if (slowMs !== null && tookMs > slowMs)
      await slow.fails(`${check.target} is slow: it took ${took}, more than ${slowMs} ms`, "warning");
    else await slow.isWell(`is fast enough again: ${text} after ${took}`);
  }

  async function judgeCertificate(first: FirstToEnd): Promise<void> {
    if (expiryDays === null) return;
    const days = (first.endMs - clock.now()) / DAY_MS;
    const before = certificate.level();
    const level = certificate.take(-days);
    // From critical to high it is better, but not well: nobody needs to be told.
    if (level === undefined || (level === "high" && before === "critical")) return;
    const source = certificateSource(name);
    const message = `${check.target}: ${endText(first, days)}`;
    const about = { type: "check", source, message, logs: recent.join("\n"), atMs: clock.now() };
    if (level === "fine") await report({ ...about, state: "resolved" });
    else await report({ ...about, severity: level === "critical" ? "critical" : "warning", state: "firing" });
  }

  return {
    async take(outcome: Outcome): Promise<void> {
      remember(outcome);
      if (outcome.isWell) {
        await down.isWell(`is well again: ${outcome.text} after ${Math.round(outcome.tookMs)} ms`);
        await judgeTime(outcome);
      } else await down.fails(`${check.target}: ${outcome.text}`, severity);
      if (outcome.certificate) await judgeCertificate(outcome.certificate);
    },
    /** How long until it is to be tried again. */
    waitMs: (): number => (down.isUnsure() || slow.isUnsure() ? recheckMs(check) : check.intervalMs),
    certificateLevel: (): Level => certificate.level(),
  };
}

function recheckMs({ intervalMs }: Check): number {
  return Math.min(intervalMs, RECHECK_MS);
}

function endText({ subject, isOwn, endMs }: FirstToEnd, days: number): string {
  const which = isOwn
    ? `the certificate of ${subject}`
    : `the certificate of ${subject}, by which the server's is signed,`;
  const day = new Date(endMs).toISOString().slice(0, 10);
  return days < 0 ? `${which} has expired on ${day}` : `${which} expires in ${Math.floor(days)} days, on ${day}`;
}
