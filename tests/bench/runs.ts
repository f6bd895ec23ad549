import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import type { LoadDeps } from "./load.ts";
import type { Options } from "./options.ts";
import type { Comparison, Figures } from "./report.ts";
import { type Server, type StartOptions, SUBJECT_TITLES, type SubjectName, starterOf } from "./subjects.ts";

/** What every run needs. */
export interface Bench extends LoadDeps {
  readonly options: Options;
  readonly dir: string;
  /** Tells how far it is. */
  readonly tell: (line: string) => void;
}

/** What takes part in a scenario. */
export interface Contender {
  readonly name: string;
  run(): Promise<Figures>;
}

/** The subjects as contenders. */
export function ofSubjects(names: readonly SubjectName[], run: (name: SubjectName) => Promise<Figures>): Contender[] {
  return names.map((name) => ({ name: SUBJECT_TITLES[name], run: () => run(name) }));
}

/** Runs them in turn, so that a slow minute of the machine meets all of them. */
export async function inTurn(bench: Bench, title: string, contenders: readonly Contender[]): Promise<Comparison> {
  const subjects = contenders.map((contender) => ({ ...contender, runs: [] as Figures[] }));
  for (let turn = 1; turn <= bench.options.runs; turn++) {
    for (const { name, run, runs } of subjects) {
      const figures = await run();
      runs.push(figures);
      bench.tell(`${title}: ${name} (${turn}): ${told(figures)}`);
    }
  }
  return { title, subjects: subjects.map(({ name, runs }) => ({ name, runs })) };
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
