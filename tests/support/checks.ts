import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Check } from "../../src/config/check-model.ts";
import { parseChecks } from "../../src/config/checks.ts";
import { INTERMEDIATE, LEAF_KEY, ROOT } from "./certificate-chain.ts";

/** The one check that the text is. */
export function checkOf(text: string, changes: { intervalMs?: number } = {}): Check {
  const { checks, faults } = parseChecks(text);
  const [check] = checks;
  if (check === undefined || checks.length > 1 || faults.length > 0) throw new Error(`no one check: ${faults}`);
  return { ...check, ...changes };
}

/** The path of a file with the root of the tests' certificates. */
export function rootFile(): string {
  const path = join(mkdtempSync(join(tmpdir(), "opspilot-checks-")), "root.pem");
  writeFileSync(path, ROOT);
  return path;
}

/** A web server with this certificate and those that signed it. */
export function serveTls(certificate: string, key = LEAF_KEY, chain = INTERMEDIATE) {
  const tls = { cert: certificate + chain, key };
  return Bun.serve({ port: 0, hostname: "127.0.0.1", tls, fetch: () => new Response("all is well") });
}

/** A TCP server that does this with each connection. */
export async function serveTcp(connected: (socket: Socket) => void) {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    // Else nobody would see its end.
    socket.resume();
    connected(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    port,
    open,
    stop(): void {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** A DNS server that knows these names with an address each; of others it says that they are not there. */
export async function serveDns(names: Readonly<Record<string, string>>) {
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(from, query, port, address) {
        from.send(dnsAnswer(Buffer.from(query), names), port, address);
      },
    },
  });
  return { port: socket.port, stop: () => socket.close() };
}

const TYPE_A = 1;

/** RFC 1035: the header, the question again, and for A an address. */
function dnsAnswer(query: Buffer, names: Readonly<Record<string, string>>): Buffer {
  const { name, end } = nameIn(query);
  const type = query.readUInt16BE(end);
  const question = query.subarray(12, end + 4);
  const address = type === TYPE_A ? names[name] : undefined;
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(names[name] === undefined ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(address === undefined ? 0 : 1, 6);
  header.fill(0, 8);
  if (address === undefined) return Buffer.concat([header, question]);
  const record = Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split(".").map(Number)]);
  return Buffer.concat([header, question, record]);
}

function nameIn(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 };
}
