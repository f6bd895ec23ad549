import type { Config } from "../config.ts";
import { ExitCode, errorCode, errorMessage, StartupError } from "../lib/errors.ts";
import type { App } from "./app.ts";

/** Why a port cannot be had, for a person. */
const REASONS: Readonly<Record<string, (port: number, host: string) => string>> = {
  EADDRINUSE: (port) => `port ${port} is taken by another program; set PORT (or --port) to a free one`,
  EACCES: (port) => `port ${port} needs rights that this user does not have; set PORT (or --port) to one from 1024 up`,
  EADDRNOTAVAIL: (_, host) => `this machine has no address ${host}; check HOST (or --host)`,
};

/** Makes the app listen. Throws a StartupError when the port cannot be had. */
export function listen(app: App, { listen: { host, port }, tls }: Pick<Config, "listen" | "tls">) {
  const server = open(app, host, port);
  const shownHost = host.includes(":") ? `[${host}]` : host;
  let refusing: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;
  return {
    /** With the real port, where any free one was asked for. */
    url: `${tls === null ? "http" : "https"}://${shownHost}:${server.port}`,
    port: server.port ?? port,
    /** Takes no more connections; requests and sockets that are there go on. Safe to call twice. */
    refuse(): void {
      refusing ??= server.stop();
    },
    /** Takes no more connections and cuts off those that are left. Safe to call twice. */
    stop: () => {
      stopping ??= Promise.all([server.stop(true), refusing]).then(() => undefined);
      return stopping;
    },
  };
}

/** A server that takes connections. */
export type Listening = ReturnType<typeof listen>;

function open(app: App, hostname: string, port: number) {
  try {
    const { server } = app.listen({ hostname, port });
    if (server) return server;
  } catch (error) {
    const reason = REASONS[errorCode(error)]?.(port, hostname) ?? errorMessage(error);
    const message = `cannot listen on ${hostname} port ${port}: ${reason}`;
    throw new StartupError(message, ExitCode.unavailable, { cause: error });
  }
  throw new StartupError(`cannot listen on ${hostname} port ${port}`, ExitCode.unavailable);
}
