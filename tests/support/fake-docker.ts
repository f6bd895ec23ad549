import { rmSync } from "node:fs";
import { join } from "node:path";

/** A container of the stand-in. */
export interface FakeContainer {
  readonly id: string;
  readonly name: string;
  state: string;
  readonly tty?: boolean;
  /** How long its owner lets it take to end. */
  readonly stopSeconds?: number;
  /** What /json tells besides. */
  readonly inspect?: Record<string, unknown>;
  /** What /logs answers with: frames as `logFrame` makes them, or raw bytes with a terminal. */
  logs?: Uint8Array[];
}

/** A stand-in for Docker's daemon: HTTP on a real Unix socket. */
export interface FakeDocker {
  readonly socketPath: string;
  /** Method, path and query of each request, oldest first. */
  readonly requests: string[];
  /** Sends the object to whoever follows /events. */
  emit(event: Record<string, unknown>): void;
  /** How many follow /events now. */
  followers(): number;
  /** The connections break. */
  stop(): Promise<void>;
}

/** Docker sends the head of its answer at once, Bun with the first piece of the body: a line that says nothing. */
export const OPENING = Buffer.from("\n");

/** A frame of Docker's multiplexed stream. */
export function logFrame(stream: 1 | 2, text: string): Uint8Array {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

export interface FakeDockerOptions {
  readonly containers?: FakeContainer[];
  readonly apiVersion?: string;
  readonly minApiVersion?: string;
  readonly engine?: "Docker" | "Podman";
  readonly version?: string;
  /** Answers before the daemon does, where it answers at all. */
  readonly intercept?: (request: Request, path: string) => Response | Promise<Response> | undefined;
}

/** Listens at `docker.sock` in the folder. */
export function startFakeDocker(folder: string, options: FakeDockerOptions = {}): FakeDocker {
  const { containers = [], apiVersion = "1.47", minApiVersion = "1.24", engine = "Docker" } = options;
  // Each calls its own part by another name.
  const version = {
    ApiVersion: apiVersion,
    MinAPIVersion: minApiVersion,
    Version: options.version ?? (engine === "Docker" ? "28.5.2" : "4.3.1"),
    Components: [{ Name: engine === "Docker" ? "Engine" : "Podman Engine" }],
  };
  const socketPath = join(folder, "docker.sock");
  rmSync(socketPath, { force: true });
  const requests: string[] = [];
  const followers = new Set<ReadableStreamDefaultController<Uint8Array>>();

  function answer(request: Request): Response | Promise<Response> {
    const { pathname, search } = new URL(request.url);
    requests.push(`${request.method} ${pathname}${search}`);
    const path = pathname.replace(/^\/v\d+\.\d+/, "");
    const intercepted = options.intercept?.(request, path);
    if (intercepted) return intercepted;
    if (path === "/version") return Response.json(version);
    if (path === "/events") return follow();
    if (path === "/containers/json")
      return Response.json(
        containers.map(({ id, name, state }) => ({ Id: id, Names: [`/${name}`], Image: `${name}:1`, State: state })),
      );
    const [, name, verb] = /^\/containers\/([^/]+)\/(\w+)$/.exec(path) ?? [];
    const container = containers.find((one) => one.name === name || (name && one.id.startsWith(name)));
    if (!container) return Response.json({ message: `No such container: ${name}` }, { status: 404 });
    return answerFor(container, verb);
  }

  function answerFor(container: FakeContainer, verb: string | undefined): Response {
    if (verb === "json") {
      const { id, name, state, tty = false, stopSeconds } = container;
      const config = { Tty: tty, StopTimeout: stopSeconds };
      const own = { Id: id, Name: `/${name}`, State: { Status: state }, Config: config };
      return Response.json({ ...own, ...container.inspect });
    }
    if (verb === "logs") return new Response(Buffer.concat(container.logs ?? []));
    container.state = "running";
    return new Response(null, { status: 204 });
  }

  function follow(): Response {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(own) {
        controller = own;
        own.enqueue(OPENING);
        followers.add(own);
      },
      cancel() {
        if (controller) followers.delete(controller);
      },
    });
    return new Response(body, { headers: { "content-type": "application/json" } });
  }

  // Bun's types do not know of this option for a Unix socket; without it a silent stream ends after 10 s.
  const server = Bun.serve({ unix: socketPath, idleTimeout: 0, fetch: answer } as never);
  return {
    socketPath,
    requests,
    emit(event) {
      for (const follower of followers) follower.enqueue(Buffer.from(`${JSON.stringify(event)}\n`));
    },
    followers: () => followers.size,
    stop: () => server.stop(true),
  };
}
