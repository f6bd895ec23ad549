import { afterEach, describe, expect, test } from "bun:test";
import { connectHosts } from "../bench/hosts.ts";
import { postOverAndOver } from "../bench/http-load.ts";
import { until } from "../support/until.ts";

let cleanups = new AsyncDisposableStack();
afterEach(async () => {
  await cleanups.disposeAsync();
  cleanups = new AsyncDisposableStack();
});

describe("the benchmark's hosts", () => {
  /** Acknowledges so many heartbeats; what else came is in `results`. */
  function startStandIn(acknowledgements = Number.POSITIVE_INFINITY) {
    let left = acknowledgements;
    const sockets = new Set<Bun.ServerWebSocket>();
    const results: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request, own) => (own.upgrade(request) ? undefined : new Response(null, { status: 400 })),
      websocket: {
        open: (socket) => void sockets.add(socket),
        close: (socket) => void sockets.delete(socket),
        message(socket, text) {
          const { id, type, data } = JSON.parse(String(text));
          if (type === "result") results.push(Buffer.from(data, "base64").toString());
          else if (left-- > 0) socket.send(JSON.stringify({ type: "ack", id }));
        },
      },
    });
    cleanups.defer(() => server.stop(true));
    return { url: `ws://127.0.0.1:${server.port}`, sockets, results };
  }

  function connect(url: string, heartbeatMs: number, onFrame?: Parameters<typeof connectHosts>[0]["onFrame"]) {
    const tokens = ["token-one", "token-two", "token-three"];
    const hosts = connectHosts({ url, tokens, heartbeatMs, connectsPerSecond: 1_000, ...(onFrame && { onFrame }) });
    cleanups.defer(() => hosts.close());
    return hosts;
  }

  test("are connected once their heartbeats are acknowledged, and come back", async () => {
    const server = startStandIn();
    const hosts = connect(server.url, 60_000);
    await until(() => hosts.state().connected === 3);
    for (const socket of server.sockets) socket.close();
    await until(() => hosts.state().lost === 3);
    await until(() => hosts.state().connected === 3);
    expect(hosts.state().missed).toBe(0);
  });

  test("miss a heartbeat that is not acknowledged until the next", async () => {
    const hosts = connect(startStandIn(3).url, 100);
    await until(() => hosts.state().connected === 3);
    expect(hosts.state().missed).toBe(0);
    await until(() => hosts.state().missed >= 3);
  });

  test("answer a command", async () => {
    const server = startStandIn();
    const hosts = connect(server.url, 60_000, (frame, answer) => answer({ command_id: frame.id }));
    await until(() => hosts.state().connected === 3);
    for (const socket of server.sockets) socket.send(JSON.stringify({ type: "command", id: "one", command: "ping" }));
    await until(() => server.results.length === 3);
    expect(server.results[0]).toBe('{"command_id":"one"}');
  });
});

describe("the benchmark's HTTP client", () => {
  test("posts each body once, and counts the answers", async () => {
    const bodies: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        bodies.push(await request.text());
        return new Response(null);
      },
    });
    cleanups.defer(() => server.stop(true));
    const bodyOf = (at: number) => `{"at":${at}}`;
    const { latenciesMs } = await postOverAndOver({
      ...{ port: server.port ?? 0, path: "/", connections: 4, seconds: 0.2, bodyOf },
    });
    expect(latenciesMs.length).toBeGreaterThanOrEqual(4);
    expect(new Set(bodies).size).toBe(latenciesMs.length);
  });

  test("fails on any other answer", async () => {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("no", { status: 400 }) });
    cleanups.defer(() => server.stop(true));
    const load = { port: server.port ?? 0, path: "/", connections: 1, seconds: 5, bodyOf: () => "{}" };
    await expect(postOverAndOver(load)).rejects.toThrow("HTTP/1.1 400");
  });
});
