import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../src/lib/clock.ts";
import { type FakeDocker, logFrame, OPENING, startFakeDocker } from "./fake-docker.ts";

const FIXTURES = join(import.meta.dir, "../fixtures/docker");

export type DockerEvent = Record<string, unknown> & { timeNano: number };

/** Recorded events, those of one container when it is named; of Docker, or of a version of Podman. */
export function recordedEvents(container?: string, podman?: "4.3" | "5.8"): DockerEvent[] {
  const file = podman === undefined ? "events.jsonl" : `podman-${podman}.jsonl`;
  const lines = readFileSync(join(FIXTURES, file), "utf8").trim().split("\n");
  const events = lines.map((line) => JSON.parse(line));
  return events.filter(({ Actor }) => container === undefined || Actor.Attributes.name === container);
}

/** What Docker says of a container, as it was recorded. */
export function recordedContainer(name: "web" | "hungry" | "sick"): Inspected {
  return JSON.parse(readFileSync(join(FIXTURES, `inspect-${name}.json`), "utf8"));
}

/** A container's recorded output: multiplexed, or raw as with a terminal. */
export function recordedLogs(name: "web" | "tty"): Uint8Array {
  return readFileSync(join(FIXTURES, `logs-${name}.bin`));
}

export interface Inspected {
  Id: string;
  Name: string;
  RestartCount: number;
  State: Record<string, unknown> & { Status: string };
  Config: { Tty: boolean } & Record<string, unknown>;
  HostConfig?: Record<string, unknown>;
  /** What Podman alone says, since 5.8, and only when it is so. */
  stoppedByUser?: boolean;
}

export interface EventDockerOptions {
  readonly engine?: "Docker" | "Podman";
  readonly version?: string;
  /** Containers outlive their daemon. */
  readonly liveRestore?: boolean;
  /** Another word for a state in a filter is refused. */
  readonly statuses?: readonly string[];
  /** The host's. */
  readonly clock?: Pick<Clock, "now">;
}

interface WrittenLine {
  readonly atMs: number;
  readonly frame: Uint8Array;
}

/** A daemon that keeps its last events and its containers, as Docker does, and forgets the events when it is started anew. */
export class EventDocker {
  /** By name. */
  readonly containers = new Map<string, Inspected>();
  /** By name; asked with `timestamps`, a follower gets `followed` instead. */
  readonly logs = new Map<string, Uint8Array>();
  /** What followers of a container's output get. */
  readonly followed = new Map<string, Uint8Array[]>();
  /** By name: their output never comes. */
  readonly hanging = new Set<string>();
  /** It takes every call, and answers none; who listens already goes on to hear. */
  isDeaf = false;
  /** A path that it cannot answer now. */
  refusing = "";
  /** All that ever happened. */
  readonly happened: DockerEvent[] = [];
  #events: DockerEvent[] = [];
  #daemon: FakeDocker | undefined;
  readonly #writers = new Set<(event: DockerEvent) => void>();
  readonly #written = new Map<string, WrittenLine[]>();
  readonly #readers = new Set<(name: string, line: WrittenLine) => void>();

  constructor(
    readonly folder: string,
    readonly options: EventDockerOptions = {},
  ) {}

  get requests(): readonly string[] {
    return this.#daemon?.requests ?? [];
  }

  /** As after 256 others. */
  forgetEvents(): void {
    this.#events = [];
  }

  /** Lets a container write a line now. */
  write(name: string, text: string): void {
    const atMs = this.#nowMs();
    const stamp = new Date(atMs).toISOString().replace("Z", "000000Z");
    const line = { atMs, frame: logFrame(1, `${stamp} ${text}\n`) };
    this.#written.set(name, [...(this.#written.get(name) ?? []), line]);
    for (const read of this.#readers) read(name, line);
  }

  /** How many follow the events now. */
  get followers(): number {
    return this.#writers.size;
  }

  start(): void {
    this.#daemon = startFakeDocker(this.folder, {
      apiVersion: "1.41",
      minApiVersion: "1.12",
      ...this.options,
      intercept: (request, path) => this.#answer(new URL(request.url), path, request.method),
    });
  }

  async stop(): Promise<void> {
    this.#events = [];
    this.#writers.clear();
    await this.#daemon?.stop();
    this.#daemon = undefined;
  }

  /** Lets recorded events happen now, in their order. */
  happen(...events: DockerEvent[]): void {
    const nowMs = this.#nowMs();
    for (const [at, event] of events.entries()) {
      const timeNano = (nowMs * 1000 + at) * 1000;
      const now = { ...event, time: Math.floor(timeNano / 1e9), timeNano };
      this.#events.push(now);
      this.happened.push(now);
      for (const write of this.#writers) write(now);
    }
  }

  #answer(url: URL, path: string, method: string): Response | Promise<Response> | undefined {
    if (this.isDeaf) return new Promise(() => undefined);
    if (path === this.refusing) return Response.json({ message: "context deadline exceeded" }, { status: 500 });
    if (path === "/events") return this.#follow(url.searchParams);
    if (path === "/info") return Response.json({ LiveRestoreEnabled: this.options.liveRestore ?? false });
    if (path === "/containers/json") return this.#list(url.searchParams);
    const [, libpod, name = "", verb] = /^(\/libpod)?\/containers\/([^/]+)\/(\w+)$/.exec(path) ?? [];
    const container = [...this.containers.values()].find(({ Id, Name }) => Name === `/${name}` || Id === name);
    if (container && verb === "json") return this.#describe(container, libpod !== undefined);
    const ownName = container?.Name.slice(1) ?? "";
    if (container && verb === "restart" && method === "POST") return this.#restart(container);
    if (verb === "logs" && this.hanging.has(ownName)) return new Promise(() => undefined);
    if (container && verb === "logs" && url.searchParams.has("follow"))
      return this.#followLogs(ownName, url.searchParams);
    if (container && verb === "logs" && url.searchParams.has("timestamps"))
      return new Response(Buffer.concat(this.#linesOf(ownName, url.searchParams).map(({ frame }) => frame)));
    if (container && verb === "logs") return new Response(this.logs.get(ownName) ?? new Uint8Array());
    return undefined;
  }

  #describe({ stoppedByUser, ...container }: Inspected, isLibpod: boolean): Response {
    if (!isLibpod) return Response.json(container);
    return Response.json({
      ...container,
      State: { ...container.State, ...(stoppedByUser ? { StoppedByUser: true } : {}) },
    });
  }

  /** Of a container that has ended Docker tells the start only. */
  #restart(container: Inspected): Response {
    const name = container.Name.slice(1);
    Object.assign(container.State, {
      Status: "running",
      Running: true,
      ExitCode: 0,
      StartedAt: new Date().toISOString(),
    });
    this.happen(
      ...recordedEvents(name)
        .filter(({ Action }) => Action === "start")
        .slice(0, 1),
    );
    return new Response(null, { status: 204 });
  }

  #list(query: URLSearchParams): Response {
    const filters: Record<string, string[] | undefined> = JSON.parse(query.get("filters") ?? "{}");
    const unknown = filters.status?.find((one) => this.options.statuses?.includes(one) === false);
    if (unknown !== undefined) {
      const message = `unknown container state: ${unknown}: invalid argument`;
      return Response.json({ cause: "invalid argument", message, response: 500 }, { status: 500 });
    }
    const isWanted = ({ State }: Inspected) => {
      if (filters.status) return filters.status.includes(State.Status);
      return query.get("all") === "true" || State.Status === "running";
    };
    const found = [...this.containers.values()].filter(isWanted);
    const listed = found.map(({ Id, Name, State }) => ({
      Id,
      Names: [Name],
      State: State.Status,
      Status: State.Status === "exited" ? `Exited (${State.ExitCode}) 2 minutes ago` : "Up 2 minutes",
    }));
    return Response.json(listed);
  }

  #follow(query: URLSearchParams): Response {
    const since = Number(query.get("since") ?? 0) * 1e9;
    const until = Number(query.get("until") ?? Number.POSITIVE_INFINITY) * 1e9;
    const words: string[] = JSON.parse(query.get("filters") ?? "{}").event ?? [];
    // Podman leaves out of what comes, too, what is before that moment.
    const isLate = ({ timeNano }: DockerEvent) => !this.#isPodman || timeNano >= since;
    const isWanted = (event: DockerEvent) =>
      isLate(event) && words.some((word) => this.#isMeant(word, String(event.Action)));
    const kept = this.#keptSince(since).filter(isWanted);
    const lines = kept.filter(({ timeNano }) => timeNano <= until).map((event) => `${JSON.stringify(event)}\n`);
    // Podman tells nothing of a time that has passed, but ends where it is told so.
    if (this.#isPodman && query.has("until")) return new Response("");
    if (query.has("until") || (this.#isPodman && query.get("stream") === "false")) return new Response(lines.join(""));
    let end = () => {};
    const writers = this.#writers;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        const write = (event: DockerEvent) => {
          if (isWanted(event)) controller.enqueue(Buffer.from(`${JSON.stringify(event)}\n`));
        };
        controller.enqueue(OPENING);
        for (const line of lines) controller.enqueue(Buffer.from(line));
        writers.add(write);
        end = () => void writers.delete(write);
      },
      cancel: () => end(),
    });
    return new Response(body);
  }

  get #isPodman(): boolean {
    return this.options.engine === "Podman";
  }

  /** Docker's words are beginnings ("health_status"); Podman 4 knows an end by another word than it writes. */
  #isMeant(word: string, action: string): boolean {
    if (this.#isPodman && this.options.version?.startsWith("4.") && action === "die") return word === "died";
    return action === word || action.startsWith(`${word}:`);
  }

  #followLogs(name: string, query: URLSearchParams): Response {
    const lines = this.#linesOf(name, query).map(({ frame }) => frame);
    const pieces = [...(this.followed.get(name) ?? []), ...lines];
    const readers = this.#readers;
    let end = () => {};
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        const read = (writer: string, line: WrittenLine) => {
          if (writer === name && isSince(line, query)) controller.enqueue(line.frame);
        };
        controller.enqueue(new Uint8Array());
        for (const piece of pieces) controller.enqueue(piece);
        readers.add(read);
        end = () => void readers.delete(read);
      },
      cancel: () => end(),
    });
    return new Response(body);
  }

  #linesOf(name: string, query: URLSearchParams): WrittenLine[] {
    return (this.#written.get(name) ?? []).filter((line) => isSince(line, query));
  }

  #nowMs(): number {
    return (this.options.clock ?? Date).now();
  }

  /** Docker goes back from the newest to the first that is too old. */
  #keptSince(since: number): DockerEvent[] {
    if (this.#isPodman) return this.#events;
    const oldest = this.#events.findLastIndex(({ timeNano }) => timeNano < since);
    return this.#events.slice(oldest + 1);
  }
}

/** Docker up to 20.10, and Podman, look at each line, of those that come, too. */
function isSince({ atMs }: WrittenLine, query: URLSearchParams): boolean {
  return atMs >= Number(query.get("since") ?? 0) * 1000;
}
