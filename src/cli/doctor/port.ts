import { createServer } from "node:net";
import type { Config } from "../../config.ts";
import { broken, doubtful, type Finding, fine } from "../../lib/finding.ts";
import { fieldsOf, jsonOf } from "../../lib/json.ts";
import { type Exchange, get } from "./exchange.ts";

const LIMIT_MS = 5_000;
const NAME = "port";

/** Whether the server could listen there, or who does. The port is taken for an instant only, and only if it is free. */
export async function checkPort({ listen: { host, port }, tls }: Pick<Config, "listen" | "tls">): Promise<Finding> {
  if (port === 0) return fine(NAME, "any free one is taken at the start (PORT=0)");
  const where = `${host} port ${port}`;
  const code = await tryToListen(host, port);
  switch (code) {
    case undefined:
      return fine(NAME, `${where} is free`);
    case "EADDRINUSE":
      return whoListens(where, `${tls === null ? "http" : "https"}://${reachable(host)}:${port}`);
    case "EACCES":
      return broken(NAME, `${where} needs rights that this user does not have`, "set PORT to one from 1024 up");
    case "EADDRNOTAVAIL":
      return broken(NAME, `this machine has no address ${host}`, "check HOST");
    default:
      return broken(NAME, `${where} cannot be listened on (${code})`, "check HOST and PORT");
  }
}

/** The system's word for why not. */
function tryToListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error) => resolve("code" in error ? String(error.code) : error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

async function whoListens(where: string, base: string): Promise<Finding> {
  const service = await get(`${base}/`, { limitMs: LIMIT_MS, ownCertificate: true });
  const version = service.ok ? versionOf(service.body) : undefined;
  if (version === undefined) {
    const todo = "stop that program, or set PORT to a free one";
    return broken(NAME, `another program listens on ${where}`, todo);
  }
  return judgeReadiness(where, version, await get(`${base}/readyz`, { limitMs: LIMIT_MS, ownCertificate: true }));
}

function judgeReadiness(where: string, version: string, ready: Exchange): Finding {
  const text = `OpsPilot ${version} listens on ${where}`;
  if (ready.ok && ready.status === 200) return fine(NAME, `${text} and is ready`);
  const why = ready.ok ? `is not ready: ${ready.body.slice(0, 200)}` : `does not answer: ${ready.why}`;
  return doubtful(NAME, `${text}, but ${why}`, "look at its log");
}

/** Of an answer that only OpsPilot gives. */
function versionOf(body: string): string | undefined {
  const { service, version } = fieldsOf(jsonOf(body));
  return service === "opspilot" ? String(version) : undefined;
}

/** Where one connects to reach a server that listens on all addresses. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}
