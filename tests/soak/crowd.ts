import { connect, type Socket } from "node:net";

/** Connections to one port, all from one address. */
export interface Crowd {
  /** Those that the server has not closed. */
  open(): number;
  /** How many there were; the server may have closed some of them while others came. */
  readonly made: number;
  leave(): void;
}

const BATCH = 200;

/** Makes so many; each says `greeting`, and, where it is given, one byte of `drip` each second, for ever. */
export async function gather(port: number, count: number, greeting: string, drip = ""): Promise<Crowd> {
  const sockets: Socket[] = [];
  let made = 0;
  for (let left = count; left > 0; left -= BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, left) }, () => enter(port, greeting, () => made++));
    sockets.push(...(await Promise.all(batch)));
  }
  let at = 0;
  const timer = setInterval(() => {
    const byte = drip.charAt(at++ % drip.length);
    for (const socket of sockets) if (!socket.destroyed && byte !== "") socket.write(byte);
  }, 1_000);
  const isOpen = (socket: Socket) => !socket.destroyed && socket.readyState === "open";
  return {
    made,
    open: () => sockets.filter(isOpen).length,
    leave() {
      clearInterval(timer);
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Resolves once it is open, or refused. */
function enter(port: number, greeting: string, entered: () => void): Promise<Socket> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const socket = connect(port, "127.0.0.1");
  socket.on("connect", () => {
    entered();
    socket.write(greeting);
    resolve(socket);
  });
  // What the server says is read and dropped; that it hangs up is what is counted.
  socket.resume();
  socket.on("error", () => socket.destroy());
  socket.on("close", () => resolve(socket));
  return promise;
}
