import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { direct, type ProxyOf } from "../lib/bounded-fetch.ts";
import { errorMessage } from "../lib/errors.ts";
import { broken, type Finding, fine } from "../lib/finding.ts";

const LIMIT_MS = 8_000;
const WEBHOOK = { name: "webhook", setting: "WEBHOOK_URL", nothing: "nothing was delivered" };
const HEARTBEAT = { name: "heartbeat", setting: "HEARTBEAT_URL", nothing: "it was not called" };

/** Whether WEBHOOK_URL's host takes connections (and has a certificate that is trusted). Nothing is delivered: no request is made. */
export function checkWebhook(webhookUrl: string | null, proxyOf = direct): Promise<Finding | undefined> {
  return checkConnection(WEBHOOK, webhookUrl, proxyOf);
}

/** The same of HEARTBEAT_URL, which is not called: that would say that all is well. */
export function checkHeartbeat(heartbeatUrl: string | null, proxyOf = direct): Promise<Finding | undefined> {
  return checkConnection(HEARTBEAT, heartbeatUrl, proxyOf);
}

async function checkConnection(
  { name, setting, nothing }: typeof WEBHOOK,
  target: string | null,
  proxyOf: ProxyOf,
): Promise<Finding | undefined> {
  if (target === null) return undefined;
  const url = new URL(target);
  const proxy = proxyOf(url);
  const way = proxy === null ? "" : ` through the proxy ${new URL(proxy).host}`;
  try {
    await reach(url, proxy === null ? null : new URL(proxy));
    return fine(name, `${url.host} takes connections${way} (${nothing})`);
  } catch (error) {
    const todo = `check ${setting}, the network, DNS, the firewall and the proxy, and the certificate there`;
    return broken(name, `${url.host} cannot be reached${way}: ${errorMessage(error)}`, todo);
  }
}

/** A proxy is asked for a tunnel where it would be for a message; what it carries openly it can be asked for only with a message. */
async function reach(url: URL, proxy: URL | null): Promise<void> {
  const limit = AbortSignal.timeout(LIMIT_MS);
  const first = await open(proxy ?? url, null, limit);
  try {
    if (proxy === null || url.protocol !== "https:") return;
    await askForTunnel(first, url, proxy, limit);
    (await open(url, first, limit)).destroy();
  } finally {
    first.destroy();
  }
}

const portOf = ({ port, protocol }: URL) => Number(port || (protocol === "https:" ? 443 : 80));

/** A connection, with TLS where the URL has it; over another one where that is given. */
function open(url: URL, over: Socket | null, limit: AbortSignal): Promise<Socket> {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const isTls = url.protocol === "https:";
  const way = over === null ? { host, port: portOf(url) } : { socket: over };
  const socket = isTls ? connectTls({ ...way, servername: host }) : connect({ host, port: portOf(url) });
  return within(limit, socket, (resolve) => socket.once(isTls ? "secureConnect" : "connect", () => resolve(socket)));
}

function askForTunnel(socket: Socket, url: URL, proxy: URL, limit: AbortSignal): Promise<void> {
  const target = `${url.hostname}:${portOf(url)}`;
  const person = [proxy.username, proxy.password].map(decodeURIComponent).join(":");
  const credential = person === ":" ? "" : `Proxy-Authorization: Basic ${Buffer.from(person).toString("base64")}\r\n`;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${credential}\r\n`);
  return within(limit, socket, (resolve, reject) =>
    socket.once("data", (answer) => {
      const [line = ""] = String(answer).split("\r\n");
      if (/^HTTP\/1\.\d 2\d\d/.test(line)) resolve();
      else reject(new Error(`the proxy answers: ${line.slice(0, 100)}`));
    }),
  );
}

function within<T>(
  limit: AbortSignal,
  socket: Socket,
  begin: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    limit.addEventListener("abort", () => reject(new Error(`no answer within ${LIMIT_MS / 1000} s`)), { once: true });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the connection was closed")));
    begin(resolve, reject);
  });
}
