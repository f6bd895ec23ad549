import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CERTIFICATE, CERTIFICATE_KEY } from "../support/certificate.ts";
import { createFastClock, HostAgent } from "../support/host-agent.ts";
import { type HttpProxy, startHttpProxy } from "../support/http-proxy.ts";
import { type AgentFrame, StreamServer, type StreamServerOptions } from "../support/stream-server.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

let dir = "";
let server: StreamServer;
const agents: HostAgent[] = [];
const proxies: (HttpProxy | TcpProxy)[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opspilot-agent-"));
});
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.stop();
  for (const proxy of proxies.splice(0)) proxy.stop();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function startAgent(env: Record<string, string> = {}, url = server.url): Promise<HostAgent> {
  const agent = await HostAgent.start(url, { dir, env });
  agents.push(agent);
  return agent;
}

/** A server with this way to answer, and an agent that has so many alerts for it. */
async function withAlerts(count: number, options: StreamServerOptions): Promise<HostAgent> {
  server = new StreamServer(options);
  const agent = await startAgent();
  for (const message of numbered(count)) await agent.report({ message });
  return agent;
}

const numbered = (count: number) => Array.from({ length: count }, (_, n) => `alert ${n}`);
const isAlert = (frame: AgentFrame, message: string) => frame.type === "alert" && frame.payload.message === message;
const lastLog = (agent: HostAgent) => agent.log.join("");

/** Until the server has acknowledged all but these, and nothing waits. */
async function spoolIsEmpty(agent: HostAgent, ms = 10_000): Promise<void> {
  await until(() => agent.waiting() === 0, { ms, what: `an empty spool; ${lastLog(agent)}` });
}

describe("an error that is final", () => {
  test.each(["bad_json", "bad_envelope", "bad_base64", "bad_gzip", "bad_payload", "too_large", "token_mismatch"])(
    "(%s) costs the frame that it names, and no other",
    async (code) => {
      const agent = await withAlerts(5, {
        answer(frame, socket) {
          if (!isAlert(frame, "alert 2")) return true;
          socket.send({ type: "error", code, message: "no", id: frame.id });
          return false;
        },
      });
      await spoolIsEmpty(agent);
      expect(server.messages).toEqual(numbered(5));
      expect(agent.said("error")).toEqual(["the server refuses a frame for good; it is dropped"]);
      expect(agent.log.join("")).toContain(`"code":"${code}","message":"no"`);
    },
  );

  test("that names no frame costs the one that it is about: they are sent again one by one", async () => {
    const agent = await withAlerts(20, {
      answer(frame, socket) {
        if (!isAlert(frame, "alert 7")) return true;
        socket.send({ type: "error", code: "bad_json", message: "no" });
        return false;
      },
    });
    await spoolIsEmpty(agent);
    expect(new Set(server.messages)).toEqual(new Set(numbered(20)));
    expect(agent.said("error")).toHaveLength(1);
  });

  test("as a closed socket costs the frame that is too large for something on the way", async () => {
    const agent = await withAlerts(10, {
      answer(frame, socket) {
        if (!isAlert(frame, "alert 4")) return true;
        socket.close(1009, "message too big");
        return false;
      },
    });
    await spoolIsEmpty(agent);
    expect(new Set(server.messages)).toEqual(new Set(numbered(10)));
    expect(agent.said("error")).toEqual(["the server refuses a frame for good; it is dropped"]);
  });
});

describe("a frame that breaks the connection each time", () => {
  test("is given up when it is the server that fails over it", async () => {
    const agent = await withAlerts(6, {
      answer(frame, socket) {
        if (!isAlert(frame, "alert 1")) return true;
        socket.close(1011, "internal error");
        return false;
      },
    });
    await spoolIsEmpty(agent, 20_000);
    expect(new Set(server.messages)).toEqual(new Set(numbered(6)));
    expect(agent.said("error")).toEqual(["the server refuses a frame for good; it is dropped"]);
  }, 180_000);

  test("waits behind all others when it is the network: then it is not lost when that is mended", async () => {
    let isMended = false;
    const agent = await withAlerts(6, {
      answer(frame, socket) {
        if (isMended || !isAlert(frame, "alert 1")) return true;
        socket.cut();
        return false;
      },
    });
    await until(() => new Set(server.messages).size === 6, { ms: 20_000 });
    expect(agent.said("error")).toEqual(["connections break off over a frame; it has to wait behind all others"]);
    isMended = true;
    await spoolIsEmpty(agent, 20_000);
    expect(server.messages.at(-1)).toBe("alert 1");
  }, 180_000);
});

describe("a server that wants to be left alone", () => {
  test.each(["rate_limited", "overloaded"])(
    "(%s) is, for as long as it says, and then gets all in order",
    async (code) => {
      let isBusy = true;
      let askedMs = Number.NaN;
      const clock = createFastClock();
      const agent = await withAlerts(5, {
        answer(frame, socket) {
          if (frame.type === "heartbeat" || !isBusy) return true;
          askedMs = clock.monotonicMs();
          socket.send({ type: "error", code, message: "later", id: frame.id, retry_after_s: 20 });
          return false;
        },
      });
      await until(() => server.messages.length > 0);
      isBusy = false;
      await spoolIsEmpty(agent);
      expect(clock.monotonicMs() - askedMs).toBeGreaterThan(15_000);
      expect(server.messages.slice(-5)).toEqual(numbered(5));
      expect(agent.said("error")).toEqual([]);
      expect(server.upgrades).toHaveLength(1);
    },
  );

  test("(1013) is tried again after as long as it says", async () => {
    server = new StreamServer({
      answer(_, socket) {
        if (server.upgrades.length > 1) return true;
        socket.send({ type: "error", code: "overloaded", message: "the queue is full", retry_after_s: 20 });
        socket.close(1013, "overloaded");
        return false;
      },
    });
    const agent = await startAgent();
    const startMs = agent.clock.monotonicMs();
    await agent.report();
    await spoolIsEmpty(agent);
    expect(agent.clock.monotonicMs() - startMs).toBeGreaterThan(19_000);
    expect(agent.log.join("")).toContain("the queue is full");
  });
});

describe("a token that is refused", () => {
  test("costs nothing but time: each minute it is tried again", async () => {
    server = new StreamServer({
      answer(_, socket) {
        if (server.upgrades.length > 2) return true;
        socket.send({ type: "error", code: "unauthorized", message: "unknown token" });
        socket.close(1008, "unauthorized");
        return false;
      },
    });
    const agent = await startAgent();
    const startMs = agent.clock.monotonicMs();
    await agent.report();
    await spoolIsEmpty(agent, 20_000);
    expect(agent.clock.monotonicMs() - startMs).toBeGreaterThan(119_000);
    expect(server.upgrades).toHaveLength(3);
    expect(agent.said("error")[0]).toContain("the server does not accept this agent's token");
  }, 180_000);

  test("is of no use to a second host: the two throw each other out once, and then take turns", async () => {
    server = new StreamServer();
    const agent = await startAgent();
    for (let n = 1; n <= 2; n++) {
      await until(() => server.upgrades.length === n && server.openSockets === 1, { ms: 10_000 });
      server.close(4409, "a newer connection of this agent");
      await until(() => server.openSockets === 0);
    }
    const [complaint = ""] = await until(() => agent.said("error").length > 0 && agent.said("error"));
    expect(complaint).toContain("another agent uses this agent's token: was this host cloned?");
    const { again_in_s } = JSON.parse(agent.log.findLast((line) => line.includes("cloned")) ?? "");
    expect(again_in_s).toBeWithin(30, 61);
  });
});

describe("the way to the server", () => {
  test.each([
    [502, "it answered 502: is the server behind the proxy or balancer running?"],
    [503, "it answered 503: is the server behind the proxy or balancer running?"],
    [404, "it answered 404: is there an OpsPilot server at this URL?"],
    [301, "it answered 301, which is not followed: set the URL that it points to"],
    [403, "it answered 403 instead of opening the stream"],
  ])("is tried again when something on it answers %d, and the log says so", async (status, reason) => {
    server = new StreamServer({ refuse: (upgrades) => (upgrades < 3 ? new Response("", { status }) : undefined) });
    const agent = await startAgent();
    await agent.report();
    await spoolIsEmpty(agent);
    expect(lastLog(agent)).toContain(reason);
    expect(agent.said("warn")).toEqual(["the server cannot be reached"]);
  });

  test("may be cut: what was on it is sent again", async () => {
    server = new StreamServer({ answer: ({ type }) => type === "heartbeat" });
    const network = await startTcpProxy(server.port);
    proxies.push(network);
    const agent = await startAgent({}, `ws://127.0.0.1:${network.port}`);
    await agent.report();
    await until(() => server.messages.length === 1);
    network.cut();
    await until(() => network.connections > 2, { ms: 10_000 });
    server.options = {};
    network.mend();
    await spoolIsEmpty(agent);
    expect(server.messages).toEqual(["nginx failed", "nginx failed"]);
    expect(new Set(server.frames.filter(({ type }) => type === "alert").map(({ id }) => id)).size).toBe(1);
  });

  test("may swallow everything without a word: after a while another one is taken", async () => {
    server = new StreamServer();
    const network = await startTcpProxy(server.port);
    proxies.push(network);
    const agent = await startAgent({}, `ws://127.0.0.1:${network.port}`);
    await until(() => server.frames.length > 0);
    network.hold();
    await agent.report();
    await until(() => lastLog(agent).includes("the server has been silent for too long"), { ms: 15_000 });
    network.mend();
    await spoolIsEmpty(agent);
  }, 180_000);

  test("is kept open through balancers that cut off what is idle, however rarely the server wants heartbeats", async () => {
    server = new StreamServer({ heartbeatSeconds: 3_600 });
    const agent = await startAgent();
    await until(() => server.frames.length > 0);
    const startMs = agent.clock.monotonicMs();
    await until(() => agent.clock.monotonicMs() - startMs > 120_000, { ms: 15_000 });
    expect(server.pings).toBeGreaterThanOrEqual(4);
    expect(server.upgrades).toHaveLength(1);
    expect(server.frames).toHaveLength(1);
  }, 180_000);

  test("may have TLS of an authority of one's own", async () => {
    server = new StreamServer({ tls: { cert: CERTIFICATE, key: CERTIFICATE_KEY } });
    const ca = join(dir, "ca.pem");
    writeFileSync(ca, CERTIFICATE);
    const agent = await startAgent({ OPSPILOT_CA: ca });
    await agent.report();
    await spoolIsEmpty(agent);
  });

  test("is not taken where the certificate is nobody's, and the log says what to do", async () => {
    server = new StreamServer({ tls: { cert: CERTIFICATE, key: CERTIFICATE_KEY } });
    const agent = await startAgent();
    await until(() => lastLog(agent).includes("set OPSPILOT_CA to the PEM file of the authority that signed it"));
    expect(server.upgrades).toEqual([]);
  });

  test("may lead through a proxy, with a name and a password for it", async () => {
    server = new StreamServer({ tls: { cert: CERTIFICATE, key: CERTIFICATE_KEY } });
    const ca = join(dir, "ca.pem");
    writeFileSync(ca, CERTIFICATE);
    const proxy = await startHttpProxy();
    proxies.push(proxy);
    const agent = await HostAgent.start(server.url, {
      dir,
      env: { OPSPILOT_CA: ca },
      server: { proxy: proxy.url.replace("//", "//user:pa%20ss@") },
    });
    agents.push(agent);
    await agent.report();
    await spoolIsEmpty(agent);
    expect(proxy.requests[0]).toEqual({
      line: `CONNECT 127.0.0.1:${server.port} HTTP/1.1`,
      authorization: `Basic ${btoa("user:pa ss")}`,
    });
    expect(lastLog(agent)).not.toContain("pa%20ss");
  });

  test("is not taken when the proxy lets nobody through, and the log says why", async () => {
    server = new StreamServer();
    const proxy = await startHttpProxy("407 Proxy Authentication Required");
    proxies.push(proxy);
    const agent = await HostAgent.start(server.url, { dir, server: { proxy: proxy.url } });
    agents.push(agent);
    await until(() => lastLog(agent).includes("407 Proxy Authentication Required"));
    expect(server.upgrades).toEqual([]);
  });
});
