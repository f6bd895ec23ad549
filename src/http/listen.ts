import type { TlsPair } from "../config/tls.ts";
import type { Config } from "../config.ts";
import { ExitCode, errorCode, errorMessage, StartupError } from "../lib/errors.ts";
import type { App } from "./app.ts";
import { preferNewest } from "./newest-listener.ts";

/** Why a port cannot be had, for a person. */
const REASONS: Readonly<Record<string, (port: number, host: string) => string>> = {
  EADDRINUSE: (port) => `port ${port} is taken by another program; set PORT (or --port) to a free one`,
  EACCES: (port) => `port ${port} needs rights that this user does not have; set PORT (or --port) to one from 1024 up`,
  EADDRNOTAVAIL: (_, host) => `this machine has no address ${host}; check HOST (or --host)`,
};

/** Makes the app listen. Throws a StartupError when the port cannot be had. */
export function listen(app: App, { listen: { host, port }, tls }: Pick<Config, "listen" | "tls">) {
  let server = open(app, host, port, tls);
  const actualPort = server.port ?? port;
  const shownHost = host.includes(":") ? `[${host}]` : host;
  const leaveMs = tls !== null && mayPreferNewest(actualPort) ? LEAVE_MS : 0;
  const former = createFormer();
  let refusing: Promise<void> | undefined;
  let stopping: Promise<unknown> | undefined;
  return {
    /** With the real port, where any free one was asked for. */
    url: `${tls === null ? "http" : "https"}://${shownHost}:${actualPort}`,
    port: actualPort,
    /**
     * Shows this certificate to whoever connects from now on; requests and sockets that are there go on, and connections at rest are
     * closed by and by. Bun's `reload` takes no other certificate: a second listener takes the port over.
     */
    renew(pair: TlsPair): void {
      // The kernel tells the newest of two.
      former.refuse();
      const before = server;
      server = listenOn(app, host, actualPort, pair);
      former.add(before, leaveMs);
    },
    /** Takes no more connections; requests and sockets that are there go on. Safe to call twice. */
    refuse(): void {
      former.refuse();
      refusing ??= server.stop();
    },
    /** Takes no more connections and cuts off those that are left. Safe to call twice. */
    stop: async () => {
      stopping ??= Promise.all([server.stop(true), former.stop(), refusing]);
      await stopping;
    },
  };
}

/** So long a listener is left alone after another has taken its port: whoever was just connecting to it has had a turn by then. */
const LEAVE_MS = 5_000;

/** Listeners of before a change of the certificate, whose connections go on. */
function createFormer() {
  const servers = new Set<Server>();
  let leaving: { refuse(): void } | undefined;

  function refuse(): void {
    leaving?.refuse();
    leaving = undefined;
  }

  return {
    /** It takes no more connections once the time has passed. */
    add(server: Server, leaveMs: number): void {
      servers.add(server);
      const forget = () => void servers.delete(server);
      const end = () => void server.stop().then(forget, forget);
      const timer = setTimeout(refuse, leaveMs);
      timer.unref();
      leaving = {
        refuse: () => {
          clearTimeout(timer);
          end();
        },
      };
      if (leaveMs === 0) refuse();
    },
    refuse,
    stop: () => {
      refuse();
      return Promise.all([...servers].map((server) => server.stop(true)));
    },
  };
}

/** Not everywhere is there a /proc, or the C library by that name. */
function mayPreferNewest(port: number): boolean {
  try {
    return preferNewest(port);
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

/** A server that takes connections. */
export type Listening = ReturnType<typeof listen>;
type Server = NonNullable<App["server"]>;

function open(app: App, hostname: string, port: number, tls: TlsPair | null): Server {
  try {
    // Two listeners of one user may share a port that is to be taken over: so it is asked for alone first.
    if (tls !== null && port !== 0) tryAlone(hostname, port);
    return listenOn(app, hostname, port, tls);
  } catch (error) {
    const reason = REASONS[errorCode(error)]?.(port, hostname) ?? errorMessage(error);
    const message = `cannot listen on ${hostname} port ${port}: ${reason}`;
    throw new StartupError(message, ExitCode.unavailable, { cause: error });
  }
}

/** Throws where the port is taken, also by one that would share it. */
function tryAlone(hostname: string, port: number): void {
  const listener = Bun.listen({ hostname, port, exclusive: true, socket: { data: () => undefined } });
  listener.stop(true);
}

function listenOn(app: App, hostname: string, port: number, tls: TlsPair | null): Server {
  const before = process.listeners("beforeExit");
  // Without TLS nobody may share the port: a second server would start there, and take every other connection.
  const sharing = tls === null ? { reusePort: false } : { reusePort: true, tls: { cert: tls.cert, key: tls.key } };
  const { server } = app.listen({ hostname, port, ...sharing });
  // Elysia adds one each time, to stop what is stopped by us.
  for (const one of process.listeners("beforeExit")) if (!before.includes(one)) process.off("beforeExit", one);
  if (server === null) throw new Error("it does not listen");
  return server;
}
