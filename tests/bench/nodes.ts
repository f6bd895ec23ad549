import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { measure } from "./load.ts";
import type { Comparison, Figures } from "./report.ts";
import { type Bench, inTurn, withServer } from "./runs.ts";
import { type Server, starterOf } from "./subjects.ts";
import { CONNECTIONS, VARIANTS } from "./traffic.ts";

/** Both take so many of the connections, whether they lead to one node or to two. */
const SHARES = 2;

/** What a second server on one database adds: alerts of which no two are of a kind, half of the hosts at each. */
export async function nodes(bench: Bench): Promise<Comparison[]> {
  const run = (count: number) =>
    withServer(bench, "ours", { version: "1.1", agents: CONNECTIONS }, async (first) => {
      await using cleanups = new AsyncDisposableStack();
      const servers = count === 1 ? [first, first] : [first, await startBeside(bench, first, cleanups)];
      return together(await Promise.all(servers.map((server, at) => measureShare(bench, server, at))));
    });
  const contenders = [
    { name: "two nodes", run: () => run(2) },
    { name: "one node", run: () => run(1) },
  ];
  return [await inTurn(bench, "alerts to nodes of one database", contenders)];
}

async function startBeside(bench: Bench, first: Server, cleanups: AsyncDisposableStack): Promise<Server> {
  const { database, tokens } = first;
  const dir = join(bench.dir, crypto.randomUUID());
  await mkdir(dir);
  const start = starterOf("ours", bench.peers, undefined);
  const second = await start({ database, dir, version: "1.1", agents: CONNECTIONS, tokens });
  cleanups.defer(() => second.stop());
  return second;
}

async function measureShare(bench: Bench, server: Server, at: number): Promise<Figures> {
  const connections = CONNECTIONS / SHARES;
  const tokenFile = join(bench.dir, `tokens-${at}`);
  await Bun.write(tokenFile, `${server.tokens.slice(at * connections, (at + 1) * connections).join("\n")}\n`);
  const traffic = { mode: "alert", version: "1.1", connections, variants: VARIANTS } as const;
  return measure(bench, { ...server, tokenFile }, traffic, { seconds: bench.options.seconds });
}

/** What both sent; the slower one's answers. What each cost is not said: they share a database, and perhaps a node. */
function together(shares: readonly Figures[]): Figures {
  const most = (name: "latency_p50_ms" | "latency_p99_ms") => Math.max(...shares.map((share) => share[name] ?? 0));
  return {
    per_second: shares.reduce((sum, share) => sum + (share.per_second ?? 0), 0),
    latency_p50_ms: most("latency_p50_ms"),
    latency_p99_ms: most("latency_p99_ms"),
  };
}
