import type { LogRule } from "../../config/log-rules.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { matchesGlob } from "../../lib/glob.ts";
import { isRecord } from "../../lib/json.ts";
import type { Log } from "../../lib/log.ts";
import type { DockerApi } from "../docker-api.ts";
import { DockerError } from "../docker-error.ts";
import { happeningKey } from "./happening.ts";
import { createLineCutter } from "./lines.ts";
import type { LogAlerts } from "./log-lines.ts";

export interface LogContainersOptions {
  readonly rules: readonly LogRule[];
  readonly alerts: LogAlerts;
  /** The moment of the last line that was read, by the container's name. */
  readonly places: Readonly<Record<string, string>>;
  readonly docker: DockerApi;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const LIST_MS = 5_000;
const LINE_BYTES_MAX = 16 * 1024;
const CONTAINERS_MAX = 100;
/** As Docker writes it: always nine digits, always UTC, so that texts compare as moments do. */
const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z /;

interface Container {
  readonly id: string;
  readonly name: string;
}

/** Follows the output of all running containers that the rules name. */
export function createLogContainers(options: LogContainersOptions) {
  const { rules, alerts, docker, clock, log, signal } = options;
  const places = new Map<string, string>(Object.entries(options.places));
  const following = new Map<string, Promise<void>>();
  /** What a container wrote before the agent was there is no news. */
  const startedAt = stampOf(clock.now());
  let reason = "";

  async function follow({ id, name }: Container): Promise<void> {
    const own = rules.filter(({ target }) => matchesGlob(target, name));
    const source = alerts.sourceOf(name, own);
    const from = places.get(name) ?? startedAt;
    const cutters = { stdout: createLineCutter(LINE_BYTES_MAX), stderr: createLineCutter(LINE_BYTES_MAX) };
    const pieces = docker.logs(id, { follow: true, timestamps: true, since: secondsOf(from), signal });
    for await (const { stream, bytes } of pieces) {
      for (const { text } of cutters[stream].push(bytes)) {
        const stamp = STAMP.exec(text)?.[0].trim();
        if (stamp === undefined || stamp <= from) continue;
        const key = () => happeningKey(id, stream, text);
        await source.take({ text: text.slice(stamp.length + 1), atMs: Date.parse(stamp), key });
        if (stamp > (places.get(name) ?? "")) places.set(name, stamp);
      }
    }
  }

  async function followSafely(container: Container): Promise<void> {
    try {
      await follow(container);
    } catch (error) {
      const level = error instanceof DockerError ? "debug" : "error";
      log[level]({ container: container.name, error }, "a container's output is no longer followed");
    } finally {
      following.delete(container.id);
    }
  }

  async function look(): Promise<void> {
    const containers = await runningContainers(docker, signal);
    const wanted = containers.filter(({ name }) => rules.some(({ target }) => matchesGlob(target, name)));
    for (const container of wanted) {
      if (following.has(container.id) || following.size >= CONTAINERS_MAX) continue;
      following.set(container.id, followSafely(container));
    }
    reason = "";
  }

  function noteFailure(error: unknown): void {
    if (!(error instanceof DockerError)) throw error;
    if (!signal.aborted && error.message !== reason)
      log.info({ reason: error.message }, "containers cannot be followed");
    reason = errorMessage(error);
  }

  return {
    async run(changed: () => void): Promise<void> {
      while (!signal.aborted) {
        await look().catch(noteFailure);
        changed();
        await clock.sleep(LIST_MS, signal);
      }
      await Promise.all(following.values());
    },
    places: (): Record<string, string> => Object.fromEntries(places),
  };
}

async function runningContainers(docker: DockerApi, signal: AbortSignal): Promise<Container[]> {
  const list = await docker.get("/containers/json", { signal });
  return (Array.isArray(list) ? list : []).flatMap((one) => {
    const names: unknown = isRecord(one) ? one.Names : undefined;
    // With links to others a container has more names, which have a second slash.
    const name = Array.isArray(names) ? names.map(String).find((text) => text.lastIndexOf("/") === 0) : undefined;
    return isRecord(one) && typeof one.Id === "string" && name ? [{ id: one.Id, name: name.slice(1) }] : [];
  });
}

function stampOf(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000000Z");
}

/** "1706140800.000000001", of the same moment. */
function secondsOf(stamp: string): string {
  const [, moment = "", nano = "0"] = STAMP.exec(`${stamp} `) ?? [];
  return `${Math.floor(Date.parse(`${moment}Z`) / 1000)}.${nano}`;
}
