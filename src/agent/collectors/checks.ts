import type { Check } from "../../config/check-model.ts";
import { type Clock, whenAborted } from "../../lib/clock.ts";
import { isRecord } from "../../lib/json.ts";
import { certificateSource, createJudge, slowSource } from "../checks/judge.ts";
import type { Outcome } from "../checks/model.ts";
import { createStandings, type Standings } from "../checks/standing.ts";
import type { Collector, CollectorCheck, ReportAlert } from "../model.ts";
import { type AtMost, createAtMost } from "./at-most.ts";
import type { CollectorDeps } from "./collector-model.ts";
import { endTogether } from "./end-together.ts";
import { createEpisodes, type Episode, type Episodes, episodesIn, tellGivenUp } from "./episodes.ts";
import { createHealth, type Health } from "./health.ts";
import { openStateFile } from "./state-file.ts";
import { createSteadyWatch } from "./steady.ts";
import { supervised, type Work } from "./supervise.ts";
import type { Level } from "./threshold.ts";

/** What was told, and is not over. */
interface ChecksState {
  readonly episodes: Readonly<Record<string, Episode>>;
  /** By the check's name. */
  readonly certificates: Readonly<Record<string, Level>>;
}

/** So many are tried at a time: a host whose network hangs does not hold fifty connections. */
const AT_ONCE_MAX = 8;
/** The first tries are spread over so long at most. */
const SPREAD_MS = 10_000;
/** The certificates of a web server are looked at so often, and whenever it cannot be reached by TLS. */
const CERTIFICATES_MS = 3_600_000;

/** Asks services from this host whether they answer, as OPSPILOT_CHECKS says. */
export function createChecksCollector(deps: CollectorDeps): Collector {
  const { clock, log, settings } = deps;
  const health = createHealth(clock);
  const standings = createStandings(clock);
  const work: Work = (report, signal) => watch({ deps, report, signal, health, standings });
  const check = () => tryAll(settings.checks, clock);
  const collector = supervised(work, check, { name: "checks", clock, log, health });
  // What was told of checks that are set no more is still to be taken back.
  if (settings.checks.length === 0) return { ...collector, health: () => undefined };
  return { ...collector, facts: () => ({ checks: standings.reports() }) };
}

interface WatchOptions {
  readonly deps: CollectorDeps;
  readonly report: ReportAlert;
  readonly signal: AbortSignal;
  readonly health: Health;
  readonly standings: Standings;
}

async function watch({ deps, report, signal, health, standings }: WatchOptions): Promise<void> {
  const { clock, log, settings } = deps;
  const { checks } = settings;
  const file = openStateFile(`${deps.stateDir}/checks.json`, isState, log);
  const { episodes: initial = {}, certificates = {} } = file.load() ?? {};
  const levels = new Map<string, Level>(Object.entries(certificates));
  const { recoveryMs } = settings;
  const gaveUp = tellGivenUp(log, health);
  const counted = "failed checks in a row";
  const episodes = createEpisodes({
    type: "check",
    clock,
    report,
    recoveryMs,
    counted,
    initial: episodesIn(initial),
    gaveUp,
  });
  const steady = createSteadyWatch(episodes, clock);
  const atMost = createAtMost(AT_ONCE_MAX);
  const save = () => file.save({ episodes: episodes.toJson(), certificates: Object.fromEntries(levels) });

  const ending = new AbortController();
  const until = AbortSignal.any([signal, ending.signal]);

  async function follow(check: Check, delayMs: number): Promise<void> {
    const { name } = check;
    const judge = createJudge({ check, clock, episodes, steady, report, toldLevel: levels.get(name) });
    const tryOnce = createTrier(check, clock, atMost);
    await clock.sleep(delayMs, until);
    while (!until.aborted) {
      const startMs = clock.monotonicMs();
      const changes = episodes.changes();
      const outcome = await tryOnce(until);
      if (outcome === undefined) return;
      standings.note(name, outcome);
      await judge.take(outcome);
      const level = judge.certificateLevel();
      if (episodes.changes() !== changes || level !== (levels.get(name) ?? "fine")) {
        if (level === "fine") levels.delete(name);
        else levels.set(name, level);
        save();
      }
      await clock.sleep(Math.max(0, startMs + judge.waitMs() - clock.monotonicMs()), until);
    }
  }

  if (await takeBack({ checks, episodes, levels, report, clock })) save();
  health.watches();
  const follows = checks.map((check, at) => follow(check, delayOf(check, at, checks.length)));
  await endTogether([whenAborted(until), ...follows], ending);
}

function delayOf({ intervalMs }: Check, at: number, count: number): number {
  return (Math.min(intervalMs, SPREAD_MS) * at) / count;
}

/** Tries a check. Of a web server's certificates the answer says nothing: they are looked at beside it. */
function createTrier(check: Check, clock: Clock, atMost: AtMost) {
  let lookedMs = Number.NEGATIVE_INFINITY;
  const hasCertificates = check.kind === "http" && check.url.startsWith("https:") && check.proxy === null;

  return (signal: AbortSignal): Promise<Outcome | undefined> =>
    atMost(async () => {
      // Loaded with the first check: an agent without one does without TLS of its own, which takes 2 MB.
      const { probe, probeCertificate } = await import("../checks/probe.ts");
      const outcome = await probe(check, clock, signal);
      const isDue = outcome?.isWell === false || clock.monotonicMs() - lookedMs >= CERTIFICATES_MS;
      if (outcome === undefined || !hasCertificates || !isDue) return outcome;
      const seen = await probeCertificate(check, clock, signal);
      if (signal.aborted) return undefined;
      if (seen.certificate === undefined) return outcome;
      lookedMs = clock.monotonicMs();
      // Where no answer came because of them, they say best why.
      const isToBlame = !outcome.isWell && !seen.isWell && !outcome.text.startsWith("HTTP ");
      return { ...outcome, ...(isToBlame ? seen : { certificate: seen.certificate }) };
    });
}

interface TakeBackOptions {
  readonly checks: readonly Check[];
  readonly episodes: Episodes;
  readonly levels: Map<string, Level>;
  readonly report: ReportAlert;
  readonly clock: Clock;
}

/** What nobody checks any more is no incident. True: there was something. */
async function takeBack({ checks, episodes, levels, report, clock }: TakeBackOptions): Promise<boolean> {
  const names = new Set(checks.map(({ name }) => name));
  const sources = new Set(checks.flatMap(({ name, slowMs }) => (slowMs === null ? [name] : [name, slowSource(name)])));
  const goneSources = episodes.sources().filter((source) => !sources.has(source));
  const goneNames = [...levels.keys()].filter((name) => !names.has(name));
  for (const source of goneSources) await episodes.recover(source, "is no longer checked");
  for (const name of goneNames) {
    levels.delete(name);
    const message = `${name} is no longer checked`;
    await report({ type: "check", source: certificateSource(name), message, state: "resolved", atMs: clock.now() });
  }
  return goneSources.length + goneNames.length > 0;
}

async function tryAll(checks: readonly Check[], clock: Clock): Promise<CollectorCheck> {
  const name = "checks";
  const { signal } = new AbortController();
  const atMost = createAtMost(AT_ONCE_MAX);
  const lines = await Promise.all(
    checks.map(async (check) => {
      const outcome = await createTrier(check, clock, atMost)(signal);
      const text = `${check.name}: ${outcome?.text} after ${Math.round(outcome?.tookMs ?? 0)} ms`;
      return { isWell: outcome?.isWell === true, text };
    }),
  );
  const failing = lines.filter(({ isWell }) => !isWell);
  if (checks.length === 0) return { name, ok: true, detail: "none is set (OPSPILOT_CHECKS)" };
  const sum =
    failing.length === 0
      ? `${checks.length} of ${checks.length} are well`
      : `${failing.length} of ${checks.length} fail`;
  return { name, ok: failing.length === 0, detail: [sum, ...lines.map(({ text }) => text)].join("\n") };
}

function isState(value: unknown): value is ChecksState {
  return isRecord(value) && isRecord(value.episodes) && isRecord(value.certificates);
}
