import { existsSync } from "node:fs";
import { readBounded } from "../lib/bounded-fetch.ts";
import { fieldsOf } from "../lib/json.ts";
import { DockerError, dockerErrorOf, dockerRefusal } from "./docker-error.ts";
import { type LogPiece, piecesOf } from "./docker-logs.ts";

/** The newest version of the API that this client was written for; a daemon that speaks only older or newer ones gets its own. */
const API_VERSION = "1.47";
const VERSION_SHAPE = /^\d{1,3}\.\d{1,3}$/;

const CALL_LIMIT_MS = 10_000;
const NO_LIMIT = Number.POSITIVE_INFINITY;
/** A host with thousands of containers answers with megabytes; more is no answer. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** An event or an error is a few hundred bytes. */
const LINE_BYTES_MAX = 1024 * 1024;

export type DockerQuery = Readonly<Record<string, string | number | boolean>>;

export interface DockerCallOptions {
  readonly query?: DockerQuery;
  readonly signal?: AbortSignal;
  /** For a call: until its end; for a stream: until its beginning. */
  readonly limitMs?: number;
  /** The engine has taken the call, and what it answers with begins: a stream may then be silent for long. */
  readonly opened?: () => void;
}

export interface DockerLogsOptions extends DockerCallOptions {
  /** How many lines from the end; all of them when absent. */
  readonly tail?: number;
  readonly follow?: boolean;
  /** Unix seconds, with a fraction where wanted ("1136073600.000000001"); lines of that moment are included. */
  readonly since?: string;
  /** Each line begins with its time, as RFC 3339 with nanoseconds, and a space. */
  readonly timestamps?: boolean;
}

/** What answers at the socket. Podman speaks Docker's language, with an accent. */
export interface DockerEngine {
  readonly name: "Docker" | "Podman";
  readonly version: string;
  /** The version of the API that both sides speak, "1.47". */
  readonly api: string;
}

/** What the agent asks of Docker. */
export interface DockerApi {
  /** Where the engine is, or is looked for. */
  readonly socketPath: string;
  engine(signal?: AbortSignal): Promise<DockerEngine>;
  /** The version of the API that both sides speak, "1.47". */
  version(signal?: AbortSignal): Promise<string>;
  /** An answer's JSON. Paths are without the version: `/containers/json`. */
  get(path: string, options?: DockerCallOptions): Promise<unknown>;
  /** Ends once Docker has done it. */
  post(path: string, options?: DockerCallOptions): Promise<void>;
  /** JSON objects as they come, as of `/events`; ends when Docker ends it, and fails with a DockerError when it breaks. */
  stream(path: string, options?: DockerCallOptions): AsyncGenerator<Record<string, unknown>>;
  /** What a container has written, and goes on to write with `follow`. */
  logs(container: string, options?: DockerLogsOptions): AsyncGenerator<LogPiece>;
}

export interface DockerApiOptions {
  readonly socketPath: string;
  /** Where else an engine may be, while there is none at the first: the first of these that exists is taken. */
  readonly otherSocketPaths?: readonly string[];
}

/**
 * Docker's HTTP API over its Unix socket. Nothing is kept open between calls, so that a daemon that is restarted is found
 * again by the next one. Every failure is a DockerError.
 */
export function createDockerApi({ socketPath, otherSocketPaths = [] }: DockerApiOptions): DockerApi {
  let agreed: DockerEngine | undefined;

  async function engine(signal?: AbortSignal): Promise<DockerEngine> {
    agreed ??= agreeOn(await call("GET", "/version", { signal }));
    return agreed;
  }

  const version = async (signal?: AbortSignal) => (await engine(signal)).api;
  const socket = () => [socketPath, ...otherSocketPaths].find((path) => existsSync(path)) ?? socketPath;

  async function call(method: string, url: string, options: DockerCallOptions): Promise<unknown> {
    const signal = withLimit(AbortSignal.timeout(options.limitMs ?? CALL_LIMIT_MS), options.signal);
    return guarded(options.signal, async () => {
      const response = await request(method, url, options.query, signal);
      const body = (await readBounded(response, ANSWER_BYTES_MAX, signal)).toString();
      return body === "" ? undefined : parseJson(body);
    });
  }

  async function* chunksOf(url: string, options: DockerCallOptions): AsyncGenerator<Uint8Array> {
    const ending = new AbortController();
    const { limitMs = CALL_LIMIT_MS } = options;
    const limit = limitMs === NO_LIMIT ? undefined : setTimeout(() => ending.abort(timeoutError()), limitMs);
    const signal = withLimit(ending.signal, options.signal);
    try {
      const response = await request("GET", url, options.query, signal);
      clearTimeout(limit);
      options.opened?.();
      if (response.body) yield* response.body;
    } catch (error) {
      throw translated(error, options.signal);
    } finally {
      clearTimeout(limit);
      ending.abort();
    }
  }

  async function request(method: string, url: string, query: DockerQuery | undefined, signal: AbortSignal) {
    const search = query === undefined ? "" : `?${searchOf(query)}`;
    const response = await fetch(`http://docker${url}${search}`, {
      method,
      unix: socket(),
      signal,
      redirect: "manual",
      keepalive: false,
      // Bun would end a stream that is silent for five minutes.
      timeout: false,
    } as BunFetchRequestInit);
    if (!response.ok) {
      throw dockerRefusal(response.status, (await readBounded(response, LINE_BYTES_MAX, signal)).toString());
    }
    return response;
  }

  async function guarded<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw translated(error, signal);
    }
  }

  function translated(error: unknown, signal: AbortSignal | undefined): DockerError {
    const isAborted = signal?.aborted === true;
    const failure = isTimeout(error) ? timeoutError() : dockerErrorOf(error, socket(), isAborted);
    // A daemon may come back as another version.
    if (failure.reason !== "not_found") agreed = undefined;
    return failure;
  }

  const versioned = async (path: string, signal?: AbortSignal) => `/v${await version(signal)}${path}`;

  return {
    get socketPath() {
      return socket();
    },
    engine,
    version,
    get: async (path, options = {}) => call("GET", await versioned(path, options.signal), options),
    post: async (path, options = {}) => void (await call("POST", await versioned(path, options.signal), options)),
    async *stream(path, options = {}) {
      yield* jsonObjects(chunksOf(await versioned(path, options.signal), options));
    },
    async *logs(container, { tail, follow, since, timestamps, ...options } = {}) {
      const url = await versioned(`/containers/${encodeURIComponent(container)}/logs`, options.signal);
      const query = {
        stdout: true,
        stderr: true,
        ...(tail === undefined ? {} : { tail }),
        ...(follow ? { follow } : {}),
        ...(since === undefined ? {} : { since }),
        ...(timestamps ? { timestamps } : {}),
      };
      // Podman 4 answers a follower of a quiet container with nothing at all until that writes something.
      const limitMs = follow ? NO_LIMIT : options.limitMs;
      yield* piecesOf(chunksOf(url, { ...options, limitMs, query }));
    },
  };
}

/** Begins a stream and ends it at once: throws where it does not begin. */
export async function opens(
  begin: (options: Required<Pick<DockerCallOptions, "signal" | "opened">>) => AsyncGenerator<unknown>,
): Promise<void> {
  const trying = new AbortController();
  const stream = begin({ signal: trying.signal, opened: () => trying.abort() });
  try {
    await stream.next();
  } catch (error) {
    if (!trying.signal.aborted) throw error;
  }
}

function searchOf(query: DockerQuery): URLSearchParams {
  return new URLSearchParams(Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]));
}

function withLimit(limit: AbortSignal, signal: AbortSignal | undefined): AbortSignal {
  return signal ? AbortSignal.any([limit, signal]) : limit;
}

function timeoutError(): DockerError {
  return new DockerError("timeout", "Docker did not answer in time");
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}

/** Ours, within what the daemon speaks: of the few old routes that are used here, every version has the same. */
function agreeOn(answer: unknown): DockerEngine {
  const { ApiVersion: newest, MinAPIVersion: oldest, Version: version, Components: components } = fieldsOf(answer);
  if (typeof newest !== "string" || !VERSION_SHAPE.test(newest)) {
    throw new DockerError("broken", "what listens there does not answer as Docker does");
  }
  const isPodman = Array.isArray(components) && components.some((one) => fieldsOf(one).Name === "Podman Engine");
  const name = isPodman ? "Podman" : "Docker";
  return { name, version: String(version ?? ""), api: versionWithin(newest, oldest) };
}

function versionWithin(newest: string, oldest: unknown): string {
  if (isOlder(newest, API_VERSION)) return newest;
  return typeof oldest === "string" && VERSION_SHAPE.test(oldest) && isOlder(API_VERSION, oldest)
    ? oldest
    : API_VERSION;
}

function isOlder(one: string, other: string): boolean {
  const [major = 0, minor = 0] = one.split(".").map(Number);
  const [otherMajor = 0, otherMinor = 0] = other.split(".").map(Number);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DockerError("broken", "Docker's answer is no JSON", { cause: error });
  }
}

/** One object a line, which the pieces of the network cut anywhere. */
async function* jsonObjects(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Record<string, unknown>> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LINE_BYTES_MAX) throw new DockerError("broken", "Docker's stream has a line without an end");
    for (const line of lines) if (line.trim() !== "") yield fieldsOf(parseJson(line));
  }
  if (rest.trim() !== "") yield fieldsOf(parseJson(rest));
}
