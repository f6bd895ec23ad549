import type { Socket } from "bun";

/** What is posted, and for how long. */
export interface HttpLoad {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly seconds: number;
  /** The JSON of the request of this number. */
  readonly bodyOf: (at: number) => string;
}

interface Connection {
  startMs: number;
  received: string;
}

/**
 * Posts over connections that stay, one request at a time on each, and takes only `200` with an empty body for an answer. It
 * writes HTTP itself: a client library would take more of the machine than the server that is measured.
 */
export async function postOverAndOver(load: HttpLoad): Promise<{ latenciesMs: number[]; seconds: number }> {
  const latenciesMs: number[] = [];
  const ended = Promise.withResolvers<void>();
  const startMs = performance.now();
  const endMs = startMs + load.seconds * 1_000;
  let [next, open] = [0, load.connections];

  function send(socket: Socket<Connection>): void {
    const body = load.bodyOf(next++);
    socket.data = { startMs: performance.now(), received: "" };
    const head = `POST ${load.path} HTTP/1.1\r\nHost: 127.0.0.1:${load.port}\r\nContent-Type: application/json\r\n`;
    const request = `${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
    // One request fits into the kernel's buffer, which is empty: the answer to the one before has come.
    if (socket.write(request) !== Buffer.byteLength(request)) ended.reject(new Error("a request was not taken whole"));
  }

  function receive(socket: Socket<Connection>, data: Buffer): void {
    socket.data.received += data.toString("latin1");
    const { received } = socket.data;
    if (!received.includes("\r\n\r\n")) return;
    if (!isEmptyOk(received)) ended.reject(new Error(`POST ${load.path}: ${received}`));
    const nowMs = performance.now();
    latenciesMs.push(nowMs - socket.data.startMs);
    if (nowMs < endMs) send(socket);
    else {
      socket.end();
      if (--open === 0) ended.resolve();
    }
  }

  const socket = {
    open: send,
    data: receive,
    close: () => {
      if (performance.now() < endMs) ended.reject(new Error(`POST ${load.path}: the connection was closed`));
    },
    error: (_: unknown, error: Error) => ended.reject(error),
  };
  const connecting = Array.from({ length: load.connections }, () =>
    Bun.connect<Connection>({ hostname: "127.0.0.1", port: load.port, data: { startMs: 0, received: "" }, socket }),
  );
  await Promise.all([...connecting, ended.promise]);
  return { latenciesMs, seconds: (performance.now() - startMs) / 1_000 };
}

function isEmptyOk(answer: string): boolean {
  return answer.startsWith("HTTP/1.1 200") && /^content-length: 0\r$/im.test(answer) && answer.endsWith("\r\n\r\n");
}
