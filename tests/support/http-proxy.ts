import { connect, createServer, type Socket } from "node:net";

/** A proxy as companies have them: it makes tunnels, and may hand on plain requests. It alone knows names that end in `.test`: they are this machine. */
export interface HttpProxy {
  readonly url: string;
  /** The first line and the credentials of each request. */
  readonly requests: { line: string; authorization: string | undefined }[];
  stop(): void;
}

/** Starts one; `refusal` is the answer to those who want a tunnel and get none, `forwards`: plain requests are handed on. */
export async function startHttpProxy(refusal?: string, { forwards = false } = {}): Promise<HttpProxy> {
  const requests: HttpProxy["requests"] = [];
  const open = new Set<Socket>();
  const server = createServer((client) => {
    open.add(client);
    client.on("error", () => client.destroy());
    client.once("data", (head: Buffer) => {
      const text = head.toString("latin1");
      const [line = ""] = text.split("\r\n");
      requests.push({ line, authorization: /^proxy-authorization: (.*)\r$/im.exec(text)?.[1] });
      const [, plainHost, plainPort = "80"] = /^[A-Z]+ http:\/\/([^/: ]+)(?::(\d+))?\//.exec(line) ?? [];
      if (forwards && plainHost !== undefined)
        return handOn(client, head, connect(Number(plainPort), addressOf(plainHost)));
      const [, host, port] = /^CONNECT ([^ ]+):(\d+) /.exec(line) ?? [];
      if (refusal !== undefined || host === undefined) {
        client.end(`HTTP/1.1 ${refusal ?? "405 Method Not Allowed"}\r\ncontent-length: 0\r\n\r\n`);
        return;
      }
      const target = connect(Number(port), addressOf(host));
      open.add(target);
      target.on("error", () => client.destroy());
      target.on("connect", () => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n");
        client.pipe(target);
        target.pipe(client);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    stop() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

const addressOf = (host: string) => (host.endsWith(".test") ? "127.0.0.1" : host);

/** Requests one after the other, each with its whole address in the first line. */
function handOn(client: Socket, head: Buffer, target: Socket): void {
  const withoutHost = (chunk: Buffer) => chunk.toString("latin1").replace(/^([A-Z]+) http:\/\/[^/]+/, "$1 ");
  target.on("error", () => client.destroy());
  target.write(withoutHost(head), "latin1");
  client.on("data", (chunk: Buffer) => target.write(withoutHost(chunk), "latin1"));
  client.on("close", () => target.destroy());
  target.pipe(client);
}
