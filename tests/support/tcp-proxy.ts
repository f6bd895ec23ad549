import { connect, createServer, type Socket } from "node:net";

/** A network between two programs, which a test can cut, hold up and mend. */
export interface TcpProxy {
  readonly port: number;
  /** How many connections were asked for so far. */
  readonly connections: number;
  /** Breaks all connections off, and refuses new ones until it is mended. */
  cut(): void;
  /** Swallows what comes from either side, without a word: a firewall that forgot the connection. */
  hold(): void;
  /** Swallows what comes on the connections that are open now; new ones pass: as after the firewall was started anew. */
  forget(): void;
  /** New connections pass again. */
  mend(): void;
  stop(): void;
}

/** From a port of 127.0.0.1 to another. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const open = new Set<Socket>();
  let state: "passes" | "cut" | "holds" = "passes";
  let connections = 0;
  let generation = 0;
  const breakOff = () => {
    for (const socket of open) socket.destroy();
    open.clear();
  };
  const server = createServer((client) => {
    connections++;
    client.on("error", () => client.destroy());
    if (state === "cut") return void client.resetAndDestroy();
    open.add(client);
    if (state === "holds") return;
    const target = connect(targetPort, "127.0.0.1");
    const born = generation;
    const isSwallowed = () => state === "holds" || born !== generation;
    open.add(target);
    for (const [one, other] of [
      [client, target],
      [target, client],
    ] as const) {
      one.on("data", (chunk: Buffer) => {
        if (!isSwallowed()) other.write(chunk);
      });
      one.on("close", () => {
        if (!isSwallowed()) other.destroy();
      });
      one.on("error", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : 0,
    get connections() {
      return connections;
    },
    cut() {
      state = "cut";
      breakOff();
    },
    hold() {
      state = "holds";
    },
    forget() {
      generation++;
    },
    mend() {
      state = "passes";
    },
    stop() {
      server.close();
      breakOff();
    },
  };
}
