import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { broken, type Finding, fine } from "../../lib/finding.ts";

const LIMIT_MS = 8_000;
const NAME = "webhook";

/** Whether WEBHOOK_URL's host takes connections (and has a certificate that is trusted). Nothing is delivered: no request is made. */
export async function checkWebhook(webhookUrl: string | null): Promise<Finding | undefined> {
  if (webhookUrl === null) return undefined;
  const url = new URL(webhookUrl);
  const problem = await reach(url);
  if (problem === undefined) return fine(NAME, `${url.host} takes connections (nothing was delivered)`);
  const todo = "check WEBHOOK_URL, the network, DNS and the firewall, and the certificate there";
  return broken(NAME, `${url.host} cannot be reached: ${problem}`, todo);
}

/** Why it cannot be reached. */
function reach(url: URL): Promise<string | undefined> {
  const isTls = url.protocol === "https:";
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = Number(url.port || (isTls ? 443 : 80));
  return new Promise((resolve) => {
    const socket = isTls ? connectTls({ host, port, servername: host }) : connect({ host, port });
    const end = (problem?: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(problem);
    };
    const timer = setTimeout(() => end(`no answer within ${LIMIT_MS / 1000} s`), LIMIT_MS);
    socket.once(isTls ? "secureConnect" : "connect", () => end());
    socket.once("error", (error) => end(error.message));
  });
}
