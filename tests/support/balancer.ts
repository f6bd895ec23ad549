import { connect, createServer, type Socket } from "node:net";

/** A balancer that knows nothing but TCP: each connection goes to the next server, and past those that take none. */
export interface Balancer {
  readonly url: string;
  stop(): void;
}

/** Before ports of 127.0.0.1. */
export async function startBalancer(ports: readonly number[]): Promise<Balancer> {
  const open = new Set<Socket>();
  let turn = 0;

  function forward(client: Socket, triesLeft: number): void {
    const port = ports[turn++ % ports.length];
    if (port === undefined || triesLeft === 0) return void client.destroy();
    const server = connect(port, "127.0.0.1");
    let isConnected = false;
    open.add(server);
    server.once("connect", () => {
      isConnected = true;
      client.pipe(server);
      server.pipe(client);
    });
    server.on("error", () => server.destroy());
    server.once("close", () => {
      open.delete(server);
      if (isConnected) client.destroy();
      else if (!client.destroyed) forward(client, triesLeft - 1);
    });
    client.once("close", () => server.destroy());
  }

  const listener = createServer((client) => {
    open.add(client);
    client.on("error", () => client.destroy());
    client.once("close", () => open.delete(client));
    forward(client, ports.length);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("the balancer has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    stop() {
      listener.close();
      for (const socket of open) socket.destroy();
    },
  };
}
