import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import type { LoadDeps } from "./load.ts";
import type { Options } from "./options.ts";
import type { Comparison, Figures } from "./report.ts";
import { type Server, type StartOptions, type SubjectName, starterOf } from "./subjects.ts";

/** What every run needs. */
export interface Bench extends LoadDeps {
  readonly options: Options;
  readonly dir: string;
  /** Tells how far it is. */
  readonly tell: (line: string) => void;
}

/** One run of one subject. */
export type Run = (name: SubjectName) => Promise<Figures>;

/** Runs the subjects in turn, so that a slow minute of the machine meets all of them. */
export async function inTurn(
  bench: Bench,
  title: string,
  names: readonly SubjectName[],
  run: Run,
): Promise<Comparison> {
  const subjects = names.map((name) => ({ name, runs: [] as Figures[] }));
  for (let turn = 1; turn <= bench.options.runs; turn++) {
    for (const { name, runs } of subjects) {
      const figures = await run(name);
      runs.push(figures);
      bench.tell(`${title}: ${name} (${turn}): ${told(figures)}`);
    }
  }
  return { title, subjects };
}

/** Starts a subject on a database of its own, hands it on, and leaves nothing of it. */
export async function withServer(
  bench: Bench,
  name: SubjectName,
  options: Pick<StartOptions, "version" | "agents">,
  work: (server: Server) => Promise<Figures>,
): Promise<Figures> {
  bench.signal.throwIfAborted();
  await using cleanups = new AsyncDisposableStack();
  const database = await bench.postgres.create();
  cleanups.defer(() => database.drop());
  const dir = await mkdtemp(join(bench.dir, "server-"));
  const start = starterOf(name, bench.peers, bench.options.against);
  const server = await start({ database, dir, ...options });
  cleanups.defer(() => server.stop());
  await bench.postgres.settle();
  // Awaited here: the server is stopped as soon as this function is left.
  return await work(server);
}

function told(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
    .join(", ");
}
