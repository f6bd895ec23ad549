import type { ServerAddress } from "../../config/agent.ts";
import type { Clock } from "../../lib/clock.ts";
import { CloseCode } from "../../protocol/frames.ts";
import { readConnectionStatus } from "../connection-status.ts";
import { heartbeatText } from "../frames.ts";
import { decodeServerFrame } from "../server-frame.ts";
import type { OpenSocket, SocketEnd } from "../socket.ts";
import type { Finding } from "./finding.ts";

const LIMIT_MS = 15_000;
const HEARTBEAT_ID = "check";

export interface ServerCheckDeps {
  readonly server: ServerAddress;
  readonly openSocket: OpenSocket;
  readonly clock: Clock;
  /** The agent that runs here with the same settings, if one does. */
  readonly runningPid: number | undefined;
  /** Where that one tells how its connection is. */
  readonly statusPath: string;
}

/**
 * Whether the server can be reached and accepts the token. A token has one connection at a time: where an agent runs, only the
 * way to the server is tried, and that agent is asked for the rest, lest it be thrown out.
 */
export async function checkServer(deps: ServerCheckDeps): Promise<Finding[]> {
  const outcome = await tryServer(deps, deps.runningPid === undefined);
  const where = deps.server.url;
  if (!outcome.isOpen)
    return [{ name: "server", state: "no", detail: `${where} cannot be reached: ${outcome.detail}` }];
  const exposed = deps.server.isExposed ? "; without TLS, so that anyone on the way can read the token" : "";
  const reachable: Finding = { name: "server", state: "ok", detail: `${where} can be reached${exposed}` };
  return [reachable, deps.runningPid === undefined ? tokenFinding(outcome) : runningFinding(deps)];
}

interface Attempt {
  readonly isOpen: boolean;
  readonly agentId?: string;
  readonly detail: string;
}

function tokenFinding({ agentId, detail }: Attempt): Finding {
  if (agentId !== undefined) return { name: "token", state: "ok", detail: `accepted, as agent ${agentId}` };
  return { name: "token", state: "no", detail: `not accepted: ${detail}` };
}

function runningFinding({ runningPid, statusPath }: ServerCheckDeps): Finding {
  const status = readConnectionStatus(statusPath);
  const who = `the agent that runs here (process ${runningPid})`;
  if (status === undefined)
    return { name: "token", state: "unknown", detail: `in use by ${who}, whose log tells more` };
  const since = new Date(status.atMs).toISOString();
  if (status.isConnected) return { name: "token", state: "ok", detail: `accepted: ${who} is connected since ${since}` };
  return { name: "token", state: "no", detail: `${who} is not connected since ${since}: ${status.detail}` };
}

/** Opens a socket, and shows the token by a heartbeat if that is wanted. */
function tryServer({ openSocket, clock }: ServerCheckDeps, showsToken: boolean): Promise<Attempt> {
  return new Promise((resolve) => {
    const waiting = new AbortController();
    let isOpen = false;
    const finish = (detail: string, agentId?: string) => {
      waiting.abort();
      resolve({ isOpen, detail, agentId });
    };
    const socket = openSocket({
      opened() {
        isOpen = true;
        if (showsToken) return socket.send(heartbeatText(HEARTBEAT_ID, {}, clock.now()));
        socket.close(1000, "checked");
        finish("");
      },
      received(text) {
        const frame = decodeServerFrame(text);
        if (frame?.type === "error") finish(frame.message || frame.code);
        if (frame?.type === "welcome") finish("", frame.agent_id);
        if (frame?.type === "welcome" || frame?.type === "error") socket.close(1000, "checked");
      },
      heard: () => undefined,
      ended: (end) => finish(describeEnd(end)),
    });
    void giveUp();
    async function giveUp(): Promise<void> {
      await clock.sleep(LIMIT_MS, waiting.signal);
      if (waiting.signal.aborted) return;
      socket.terminate();
      finish(`no answer within ${LIMIT_MS / 1000} s`);
    }
  });
}

function describeEnd({ code, reason }: SocketEnd): string {
  if (code === CloseCode.overloaded) return "the server takes no connection now";
  return reason || `the connection was closed (${code})`;
}
