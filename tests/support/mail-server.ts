import type { Socket } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

/** A mail as the server took it. */
export interface TakenMail {
  to: string[];
  from: string;
  user: string | undefined;
  isEncrypted: boolean;
  /** As it came, headers and all. */
  source: string;
  header(name: string): string;
}

/** What the server does at a step of a mail, once. */
export interface MailFaults {
  /** Answered to the recipient: 450, 550. */
  recipient?: number;
  /** Answered to the message. */
  message?: number;
  /** The connection is cut before the message was taken, or after it was and before the answer. */
  cut?: "before" | "after";
}

/** A real SMTP server, which takes mail, and fails as a test says. */
export async function startMailServer(options: SMTPServerOptions = {}) {
  const taken: TakenMail[] = [];
  const faults: MailFaults[] = [];
  const sockets = new Set<Socket>();
  const refusal = (code: number) => Object.assign(new Error("not this one"), { responseCode: code });
  const cutAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: [],
    logger: false,
    onRcptTo(_address, _session, done) {
      const { recipient } = faults[0] ?? {};
      if (recipient === undefined) return done();
      faults.shift();
      done(refusal(recipient));
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const fault = faults.shift() ?? {};
        if (fault.cut === "before") return cutAll();
        if (fault.message !== undefined) return done(refusal(fault.message));
        const source = Buffer.concat(chunks).toString();
        const { mailFrom, rcptTo } = session.envelope;
        taken.push({
          to: rcptTo.map((one) => one.address),
          from: mailFrom === false ? "" : mailFrom.address,
          user: session.user as string | undefined,
          isEncrypted: session.secure,
          source,
          header: (name) => headerOf(source, name),
        });
        if (fault.cut === "after") return cutAll();
        done();
      });
    },
    ...options,
  });
  server.on("error", (error) => error);
  server.server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    taken,
    faults,
    stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** Unfolded, and without the words around encoded ones. */
function headerOf(source: string, name: string): string {
  const head = source.slice(0, source.indexOf("\r\n\r\n")).replaceAll(/\r\n[ \t]+/g, " ");
  const line = head.split("\r\n").find((one) => one.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  return line === undefined ? "" : line.slice(name.length + 1).trim();
}
