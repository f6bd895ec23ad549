import type { ServerWebSocket } from "bun";
import type { Json } from "./fake-slack-api.ts";
import { until } from "./until.ts";

/** Slack's side of Socket Mode: says hello, hands out envelopes and waits for their acknowledgement. */
export function startFakeSocketMode(host = "127.0.0.1") {
  const open = new Set<ServerWebSocket<undefined>>();
  const acked = new Map<string, number>();
  const behaviour = { hello: true };
  let connections = 0;
  let envelopes = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, self) {
      return self.upgrade(request) ? undefined : new Response("not a socket", { status: 400 });
    },
    websocket: {
      open(ws: ServerWebSocket<undefined>) {
        open.add(ws);
        connections++;
        if (behaviour.hello) ws.send(JSON.stringify({ type: "hello", num_connections: 1, debug_info: {} }));
      },
      message(_, text) {
        const { envelope_id } = JSON.parse(String(text));
        if (envelope_id) acked.set(envelope_id, performance.now());
      },
      close(ws) {
        open.delete(ws);
      },
    },
  });

  /** Over one of the open sockets, as Slack does. */
  function sendEnvelope(type: string, payload: Json, envelopeId = `e-${++envelopes}`): string {
    const [socket] = open;
    if (!socket) throw new Error("nobody is connected");
    socket.send(JSON.stringify({ type, envelope_id: envelopeId, payload, accepts_response_payload: false }));
    return envelopeId;
  }

  return {
    url: `ws://${host}:${server.port}/link`,
    behaviour,
    /** Sockets that are open now, and all there ever were. */
    open: () => open.size,
    connections: () => connections,
    acked,
    sendEnvelope,
    /** Sends one when somebody is connected; resolves with the milliseconds until it was acknowledged. */
    async deliver(type: string, payload: Json, envelopeId?: string): Promise<number> {
      await until(() => open.size > 0, { what: "a Socket Mode connection" });
      const sentMs = performance.now();
      const id = sendEnvelope(type, payload, envelopeId);
      return (await until(() => acked.get(id), { what: "an acknowledgement" })) - sentMs;
    },
    /** Slack asks for a new connection, as it does every few hours. */
    refresh() {
      for (const socket of open) socket.send(JSON.stringify({ type: "disconnect", reason: "refresh_requested" }));
    },
    /** The connections are gone without a word. */
    cut() {
      for (const socket of open) socket.terminate();
    },
    stop: () => server.stop(true),
  };
}
