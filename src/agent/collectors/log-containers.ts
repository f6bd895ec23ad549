import { existsSync } from "node:fs";
import type { LogRule } from "../../config/log-rules.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { matchesGlob } from "../../lib/glob.ts";
import { isRecord } from "../../lib/json.ts";
import type { Log } from "../../lib/log.ts";
import { type DockerApi, opens } from "../docker-api.ts";
import { DockerError } from "../docker-error.ts";
import { createMoments, isMoment, type Moment, whenSetBack } from "../moments.ts";
import { containerEventOf } from "./docker-events.ts";
import { listContainers } from "./docker-state.ts";
import { createBoundedMap, happeningKey } from "./happening.ts";
import type { Health } from "./health.ts";
import { createLineCutter } from "./lines.ts";
import type { LogAlerts } from "./log-lines.ts";
import { createStampReader, isBefore, secondsOf, stampOf } from "./log-stamps.ts";

export interface LogContainersOptions {
  readonly rules: readonly LogRule[];
  readonly alerts: LogAlerts;
  /** Up to where the output was read, by the container's name. */
  readonly places: Readonly<Record<string, OutputPlace>>;
  readonly docker: DockerApi;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly health: Health;
  /** Where the engine is away, the collector of containers says so. */
  readonly isToldElsewhere: boolean;
}

/** Up to where a container's output was read. */
export interface OutputPlace {
  /** The last line's time, as a reader of stamps knows it. */
  readonly place: string;
  /** When it was read, or nothing came after it still. */
  readonly read: Moment;
}

/** The part of the collector's health that is about containers; each whose output cannot be read is a part of its own. */
export const CONTAINERS_PART = "containers";
const START_FILTERS = JSON.stringify({ type: ["container"], event: ["start"] });

/** A list is asked for when listening begins, and for what the events do not tell. */
const LIST_MS = 60_000;
const RETRY_MS = 5_000;
const LINE_BYTES_MAX = 16 * 1024;
/** Each takes a connection. */
const FOLLOWED_MAX = 100;
const PLACES_MAX = 1000;
/** What an engine gives again of what was read already comes at once; a clock that is put back, at any time. */
const REPETITION_MS = 10_000;
/** A line is read within this time. */
const LAG_MS = 5_000;
/** What is later than now by more than this was written before the clock was put back. */
const AHEAD_MS = 1_000;

interface Container {
  readonly id: string;
  readonly name: string;
}

/** Follows the output of all containers that the rules name, from their start on: many live for less than a second. */
export function createLogContainers(options: LogContainersOptions) {
  const { rules, alerts, docker, clock, log, signal, health } = options;
  const moments = createMoments(clock);
  const places = createBoundedMap<OutputPlace>(PLACES_MAX);
  for (const [name, place] of Object.entries(options.places)) places.set(name, place);
  const following = new Map<string, { container: Container; done: Promise<void> }>();
  /** What a container wrote before the agent was there is no news. */
  const start: OutputPlace = { place: stampOf(clock.now()), read: moments.now() };
  let turn = new AbortController();
  let reason = "";
  let isFull = false;
  const unfollowed = new Set<string>();

  async function follow({ id, name }: Container, until: AbortSignal): Promise<void> {
    const own = rules.filter(({ target }) => matchesGlob(target, name));
    const source = alerts.sourceOf(name, own);
    const known = places.get(name) ?? start;
    const { reader, toSkip } = wasSetBack(known)
      ? await readerAfterStep(id, known, until)
      : { reader: createStampReader(known.place), toSkip: 0 };
    const startMs = clock.monotonicMs();
    const opened = () => health.forget(name);
    const query = { follow: true, since: secondsOf(reader.from), signal: until, opened };
    let lines = 0;
    for await (const { stream, text } of linesOf(id, query)) {
      const line = reader.read(text);
      if (line === undefined || ++lines <= toSkip || line.isRepeated) continue;
      if (isBefore(line.stamp, reader.from) && clock.monotonicMs() - startMs < REPETITION_MS) continue;
      const key = () => happeningKey(id, stream, line.isWhole ? text : `${reader.place()} ${text}`);
      await source.take({ text: line.text, atMs: Date.parse(line.stamp), key });
      places.set(name, { place: reader.place(), read: moments.now() });
    }
  }

  async function* linesOf(
    id: string,
    query: { follow: boolean; since: string; signal: AbortSignal; opened?: () => void },
  ) {
    const cutters = { stdout: createLineCutter(LINE_BYTES_MAX), stderr: createLineCutter(LINE_BYTES_MAX) };
    for await (const { stream, bytes } of docker.logs(id, { ...query, timestamps: true }))
      for (const { text } of cutters[stream].push(bytes)) yield { stream, text };
  }

  function wasSetBack({ place, read }: OutputPlace): boolean {
    const { from } = createStampReader(place);
    return moments.stepMs(read) < 0 || isBefore(stampOf(clock.now() + AHEAD_MS), from);
  }

  /**
   * From the same moment on, by the clock as it is now. An engine gives again then what was written just before the clock was put
   * back: the lines up to the one that was read last, and to those of a time that is still to come and was read, are as old.
   */
  async function readerAfterStep(id: string, { place, read }: OutputPlace, until: AbortSignal) {
    const from = stampOf(clock.now() - moments.ageMs(read) - LAG_MS);
    const ahead = stampOf(clock.now() + AHEAD_MS);
    const old = createStampReader(place);
    let lines = 0;
    let toSkip = 0;
    for await (const { text } of linesOf(id, { follow: false, since: secondsOf(from), signal: until })) {
      const line = old.read(text);
      if (line === undefined) continue;
      lines++;
      if (line.isRepeated || (isBefore(ahead, line.stamp) && !isBefore(old.from, line.stamp))) toSkip = lines;
    }
    return { reader: createStampReader(from), toSkip };
  }

  async function followSafely(container: Container, until: AbortSignal): Promise<void> {
    try {
      await follow(container, until);
    } catch (error) {
      const level = error instanceof DockerError ? "debug" : "error";
      // A driver whose logs Docker cannot give, say.
      if (error instanceof DockerError && error.reason === "refused")
        health.fails(`container ${container.name}: ${error.message}`, { part: container.name });
      log[level]({ container: container.name, error }, "a container's output is no longer followed");
    } finally {
      following.delete(container.id);
    }
  }

  function begin(container: Container): void {
    if (following.has(container.id) || !rules.some(({ target }) => matchesGlob(target, container.name))) return;
    if (following.size >= FOLLOWED_MAX) {
      if (!isFull) log.warn({ followed: FOLLOWED_MAX }, "no more containers' outputs can be followed at once");
      isFull = true;
      unfollowed.add(container.name);
      noteUnfollowed();
      return;
    }
    isFull = false;
    const done = followSafely(container, AbortSignal.any([signal, turn.signal]));
    following.set(container.id, { container, done });
  }

  function noteUnfollowed(): void {
    const text = `output of ${unfollowed.size} containers: that of ${FOLLOWED_MAX} is followed at once`;
    health.gaveUp("containers", unfollowed.size > 0 ? text : undefined);
  }

  /** Of those that have ended the rest is read, where their output was followed before. */
  async function look(isFirst: boolean): Promise<void> {
    const listed = await listContainers(docker, signal);
    unfollowed.clear();
    for (const { id, name, state } of listed)
      if (state === "running" || (isFirst && places.has(name))) begin({ id, name });
    noteUnfollowed();
    reason = "";
  }

  async function listen(): Promise<void> {
    const opened = () => health.watches(CONTAINERS_PART);
    for await (const one of docker.stream("/events", { query: { filters: START_FILTERS }, signal, opened })) {
      const event = containerEventOf(one);
      if (event?.kind === "started") begin(event);
    }
  }

  /** Engines leave out, of what comes too, what is before the moment that they were asked for. */
  async function followAnew(): Promise<void> {
    for (;;) {
      const before = await whenSetBack(clock, moments, signal);
      if (!before) return;
      const followed = [...following.values()];
      for (const { container } of followed)
        places.set(container.name, { ...(places.get(container.name) ?? start), read: before });
      turn.abort();
      await Promise.all(followed.map(({ done }) => done));
      turn = new AbortController();
      for (const { container } of followed) begin(container);
    }
  }

  function noteFailure(error: unknown): void {
    if (!(error instanceof DockerError)) throw error;
    if (!signal.aborted && error.message !== reason)
      log.info({ reason: error.message }, "containers cannot be followed");
    reason = errorMessage(error);
    const isTold = options.isToldElsewhere && existsSync(docker.socketPath);
    if (!signal.aborted) health.fails(reason, { part: CONTAINERS_PART, isTold });
  }

  /** Again and again, since an engine may be away. */
  async function keep(work: () => Promise<void>, pauseMs: number): Promise<void> {
    while (!signal.aborted) {
      await work().catch(noteFailure);
      await clock.sleep(reason === "" ? pauseMs : RETRY_MS, signal);
    }
  }

  return {
    async run(changed: () => void): Promise<void> {
      let isFirst = true;
      const list = async () => {
        await look(isFirst);
        isFirst = false;
        changed();
      };
      await Promise.all([keep(listen, 0), keep(list, LIST_MS), followAnew()]);
      await Promise.all([...following.values()].map(({ done }) => done));
    },
    places: (): Record<string, OutputPlace> => Object.fromEntries(places.entries()),
  };
}

/** What of a saved state is such places; of those that a former version saved it is not known when they were read. */
export function outputPlacesIn(value: unknown, clock: Pick<Clock, "now" | "monotonicMs">): Record<string, OutputPlace> {
  if (!isRecord(value)) return {};
  const read = createMoments(clock).now();
  const entries = Object.entries(value).flatMap(([name, one]): [string, OutputPlace][] => {
    if (typeof one === "string") return [[name, { place: one, read }]];
    if (!isRecord(one) || typeof one.place !== "string" || !isMoment(one.read)) return [];
    return [[name, { place: one.place, read: one.read }]];
  });
  return Object.fromEntries(entries);
}

/** Tries what following the containers of these rules needs: what cannot be read, and why. */
export async function faultsOfContainers(rules: readonly LogRule[], docker: DockerApi): Promise<string[]> {
  try {
    const listed = await listContainers(docker);
    await opens((trying) => docker.stream("/events", { query: { filters: START_FILTERS }, ...trying }));
    const isMeant = ({ name, state }: { name: string; state: string }) =>
      state === "running" && rules.some(({ target }) => matchesGlob(target, name));
    const faults = await Promise.all(listed.filter(isMeant).slice(0, FOLLOWED_MAX).map(faultOf));
    return faults.flat();
  } catch (error) {
    if (error instanceof DockerError) return [error.message];
    throw error;
  }

  async function faultOf({ id, name }: Container): Promise<string[]> {
    try {
      await opens((trying) => docker.logs(id, { tail: 1, timestamps: true, ...trying }));
      return [];
    } catch (error) {
      if (error instanceof DockerError) return [`container ${name}: ${error.message}`];
      throw error;
    }
  }
}
