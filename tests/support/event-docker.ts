import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type FakeDocker, startFakeDocker } from "./fake-docker.ts";

const FIXTURES = join(import.meta.dir, "../fixtures/docker");

export type DockerEvent = Record<string, unknown> & { timeNano: number };

/** Recorded events, those of one container when it is named. */
export function recordedEvents(container?: string): DockerEvent[] {
  const lines = readFileSync(join(FIXTURES, "events.jsonl"), "utf8").trim().split("\n");
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
  Config: { Tty: boolean };
}

/** A daemon that keeps its last events and its containers, as Docker does, and forgets the events when it is started anew. */
export class EventDocker {
  /** By name. */
  readonly containers = new Map<string, Inspected>();
  /** By name; asked with `timestamps`, a follower gets `followed` instead. */
  readonly logs = new Map<string, Uint8Array>();
  /** What followers of a container's output get. */
  readonly followed = new Map<string, Uint8Array[]>();
  #events: DockerEvent[] = [];
  #daemon: FakeDocker | undefined;
  readonly #writers = new Set<(event: DockerEvent) => void>();

  constructor(readonly folder: string) {}

  get requests(): readonly string[] {
    return this.#daemon?.requests ?? [];
  }

  /** How many follow the events now. */
  get followers(): number {
    return this.#writers.size;
  }

  start(): void {
    this.#daemon = startFakeDocker(this.folder, {
      apiVersion: "1.41",
      minApiVersion: "1.12",
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
    const nowMs = Date.now();
    for (const [at, event] of events.entries()) {
      const timeNano = (nowMs * 1000 + at) * 1000;
      const now = { ...event, time: Math.floor(timeNano / 1e9), timeNano };
      this.#events.push(now);
      for (const write of this.#writers) write(now);
    }
  }

  #answer(url: URL, path: string, method: string): Response | undefined {
    if (path === "/events") return this.#follow(url.searchParams);
    if (path === "/containers/json") return this.#list(JSON.parse(url.searchParams.get("filters") ?? "{}"));
    const [, name = "", verb] = /^\/containers\/([^/]+)\/(\w+)$/.exec(path) ?? [];
    const container = [...this.containers.values()].find(({ Id, Name }) => Name === `/${name}` || Id === name);
    if (container && verb === "json") return Response.json(container);
    const ownName = container?.Name.slice(1) ?? "";
    if (container && verb === "restart" && method === "POST") return this.#restart(container);
    if (container && verb === "logs" && url.searchParams.has("follow")) return this.#followLogs(ownName);
    if (container && verb === "logs") return new Response(this.logs.get(ownName) ?? new Uint8Array());
    return undefined;
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

  #list({ status, health }: { status?: string[]; health?: string[] }): Response {
    const isWanted = ({ State }: Inspected) => {
      const own = (State.Health as { Status?: string } | undefined)?.Status ?? "none";
      if (health) return State.Status === "running" && health.includes(own);
      return status ? status.includes(State.Status) : State.Status === "running";
    };
    const found = [...this.containers.values()].filter(isWanted);
    const listed = found.map(({ Id, Name, State }) => ({
      Id,
      Names: [Name],
      Status: State.Status === "exited" ? `Exited (${State.ExitCode}) 2 minutes ago` : "Up 2 minutes",
    }));
    return Response.json(listed);
  }

  #follow(query: URLSearchParams): Response {
    const since = Number(query.get("since") ?? 0) * 1e9;
    const until = query.get("until");
    const kept = this.#events.filter(({ timeNano }) => timeNano >= since);
    const lines = kept.map((event) => `${JSON.stringify(event)}\n`);
    if (until !== null) return new Response(lines.join(""));
    let end = () => {};
    const writers = this.#writers;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        const write = (event: DockerEvent) => controller.enqueue(Buffer.from(`${JSON.stringify(event)}\n`));
        for (const line of lines) controller.enqueue(Buffer.from(line));
        writers.add(write);
        end = () => void writers.delete(write);
      },
      cancel: () => end(),
    });
    return new Response(body);
  }

  #followLogs(name: string): Response {
    const pieces = this.followed.get(name) ?? [];
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const piece of pieces) controller.enqueue(piece);
      },
    });
    return new Response(body);
  }
}
