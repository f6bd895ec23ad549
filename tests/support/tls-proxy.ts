import { connect, createServer, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { DatabaseTarget } from "../../src/db/target.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "./certificate.ts";

/** What every PostgreSQL client sends first when it would like TLS. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** PostgreSQL on a TCP port of 127.0.0.1. */
export interface TlsProxy {
  readonly port: number;
  /** How each connection so far began. */
  readonly kinds: readonly ("plain" | "tls")[];
  stop(): void;
}

/** Puts a TCP port in front of the target's Unix socket, with TLS for localhost or, as a server without it, refusing that. */
export async function startTlsProxy(target: DatabaseTarget, options: { hasTls: boolean }): Promise<TlsProxy> {
  const kinds: ("plain" | "tls")[] = [];
  const open = new Set<Socket>();

  const join = (client: Socket | TLSSocket, first?: Buffer) => {
    const server = connect(`${target.host}/.s.PGSQL.${target.port}`);
    for (const end of [client, server]) end.on("error", () => client.destroy());
    if (first) server.write(first);
    client.pipe(server);
    server.pipe(client);
  };
  const server = createServer((client) => {
    open.add(client);
    client.on("error", () => client.destroy());
    client.once("data", (first: Buffer) => {
      const asksForTls = first.equals(SSL_REQUEST);
      kinds.push(asksForTls && options.hasTls ? "tls" : "plain");
      if (!asksForTls) return join(client, first);
      client.write(options.hasTls ? "S" : "N");
      if (!options.hasTls) return join(client);
      const secure = new TLSSocket(client, { isServer: true, cert: CERTIFICATE, key: CERTIFICATE_KEY });
      join(secure);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : 0,
    kinds,
    stop() {
      server.close();
      for (const client of open) client.destroy();
    },
  };
}
