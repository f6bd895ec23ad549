import { connectHosts, type HostsOptions, type HostsState } from "./hosts.ts";

/** A process may open 20,000 files on usual systems, and one is not to be busy enough to be late. */
const HOSTS_MAX = 6_000;

/** Hosts spread over processes of their own. */
export interface ManyHosts {
  state(): Promise<HostsState>;
  stop(): Promise<void>;
}

interface ManyHostsOptions extends Omit<HostsOptions, "url" | "onFrame"> {
  /**
   * Of one server, for each process another: to a single address the system has hardly more ports than hosts are, and looks for a
   * free one for longer than all the rest takes.
   */
  readonly urls: readonly string[];
}

/** Connects hosts from as many processes as they need. */
export function startHosts({ urls, ...options }: ManyHostsOptions): ManyHosts {
  const parts = Math.ceil(options.tokens.length / HOSTS_MAX);
  const each = Math.ceil(options.tokens.length / parts);
  const children = Array.from({ length: parts }, (_, part) =>
    startChild({
      ...options,
      url: urls[part % urls.length] as string,
      tokens: options.tokens.slice(part * each, (part + 1) * each),
      connectsPerSecond: options.connectsPerSecond / parts,
    }),
  );
  return {
    async state() {
      const states = await Promise.all(children.map((child) => child.ask()));
      const sum = (of: (state: HostsState) => number) => states.reduce((all, state) => all + of(state), 0);
      return {
        connected: sum(({ connected }) => connected),
        sent: sum(({ sent }) => sent),
        missed: sum(({ missed }) => missed),
        lost: sum(({ lost }) => lost),
      };
    },
    stop: async () => void (await Promise.all(children.map((child) => child.stop()))),
  };
}

function startChild(options: HostsOptions) {
  let answered = Promise.withResolvers<HostsState>();
  const child = Bun.spawn([process.execPath, import.meta.path], {
    stdin: "ignore",
    stdout: 2,
    stderr: 2,
    ipc: (state: HostsState) => answered.resolve(state),
    onExit: (_, status, signal) => answered.reject(new Error(`the hosts' process ended: ${signal ?? status}`)),
  });
  // Nobody waits when it is stopped.
  answered.promise.catch(() => undefined);
  child.send(options);
  return {
    ask() {
      const asked = Promise.withResolvers<HostsState>();
      answered = asked;
      asked.promise.catch(() => undefined);
      child.send("state");
      return asked.promise;
    },
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

/** The child's side: the first message says what to do, each further one asks how it goes. */
function serveParent(): void {
  let hosts: ReturnType<typeof connectHosts> | undefined;
  process.on("message", (message: HostsOptions | "state") => {
    if (message !== "state") hosts = connectHosts(message);
    else if (hosts) process.send?.(hosts.state());
  });
  process.on("disconnect", () => process.exit());
}

if (import.meta.main) serveParent();
