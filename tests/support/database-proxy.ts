import { connect, createServer, type Socket } from "node:net";
import type { DatabaseTarget } from "../../src/db/target.ts";

/** A wire between server and database that a test can cut, and spoil. */
export interface DatabaseProxy {
  readonly url: string;
  /** Refuses new connections and breaks those that are open. */
  cut(): void;
  mend(): void;
  /** From now on what goes either way arrives that much later. */
  slow(ms: number): void;
  /** The next COMMIT reaches the database, its answer does not reach the client: the connection breaks instead. */
  loseNextCommitAnswer(): void;
  /** How many answers were lost. */
  lost(): number;
  stop(): Promise<void>;
}

/** Listens on TCP and hands everything on to the database's Unix socket. */
export async function startDatabaseProxy(target: DatabaseTarget): Promise<DatabaseProxy> {
  const pairs = new Set<[Socket, Socket]>();
  let isCut = false;
  let isLosing = false;
  let delayMs = 0;
  let lost = 0;

  const later = (pass: () => void) => void (delayMs === 0 ? pass() : setTimeout(pass, delayMs));
  const server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = connect(`${target.host}/.s.PGSQL.${target.port}`);
    const pair: [Socket, Socket] = [client, upstream];
    pairs.add(pair);
    client.on("data", (chunk) => later(() => upstream.write(chunk)));
    upstream.on("data", (chunk) => {
      if (!isLosing || !chunk.includes("COMMIT\0")) {
        later(() => client.write(chunk));
        return;
      }
      isLosing = false;
      lost++;
      client.destroy();
    });
    for (const socket of pair) {
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        for (const other of pair) other.destroy();
        pairs.delete(pair);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  const { user, password, database } = target;

  const breakAll = () => {
    for (const [client, upstream] of pairs) {
      client.destroy();
      upstream.destroy();
    }
  };
  return {
    url: `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${address.port}/${database}?sslmode=disable`,
    cut() {
      isCut = true;
      breakAll();
    },
    mend() {
      isCut = false;
    },
    slow(ms) {
      delayMs = ms;
    },
    loseNextCommitAnswer() {
      isLosing = true;
    },
    lost: () => lost,
    async stop() {
      breakAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
