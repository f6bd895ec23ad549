import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startExecutable } from "../support/executable.ts";
import { cpuSeconds, memoryBytes, processTree } from "../support/processes.ts";

/** How long an idle server is looked at, after as long a time to come to rest. */
const IDLE_MS = 20_000;

/** Starts the executable alone in an empty folder, twice, and looks at it while nothing happens. */
async function run(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "opspilot-idle-"));
  await using cleanups = new AsyncDisposableStack();
  cleanups.defer(() => rm(dir, { recursive: true, force: true }));

  const first = await startExecutable({ dir });
  const firstMs = await first.waitReady();
  await first.stop();
  const second = await startExecutable({ dir });
  cleanups.defer(async () => void (await second.stop()));
  const secondMs = await second.waitReady();

  await Bun.sleep(IDLE_MS);
  const beforeSeconds = cpuSeconds(second.pid);
  const beforeMs = performance.now();
  await Bun.sleep(IDLE_MS);
  const seconds = cpuSeconds(second.pid) - beforeSeconds;
  const processes = processTree(second.pid);
  const [server = 0, ...database] = processes;
  const mib = (pids: number[]) => Math.round(memoryBytes(pids) / 2 ** 20);

  say(`executable       ${(Bun.file(join(dir, "opspilot")).size / 1e6).toFixed(1)} MB`);
  say(`first start      ${Math.round(firstMs)} ms to /readyz`);
  say(`second start     ${Math.round(secondMs)} ms to /readyz`);
  say(
    `memory           ${mib(processes)} MiB: server ${mib([server])}, database ${mib(database)} (${database.length} processes)`,
  );
  say(`CPU, idle        ${((100_000 * seconds) / (performance.now() - beforeMs)).toFixed(2)} % of a core over 20 s`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

await run();
