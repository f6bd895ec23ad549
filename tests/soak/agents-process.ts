/**
 * Hosts' agents in a process of its own, which may be killed at any moment: the agent's own spool, delivery and connection, and in
 * place of collectors a steady stream of alerts. What an agent knows outlives the process, in files with an id a line: `kept` (on
 * the host's disk), `acknowledged`, `refused`. Its plan comes as JSON, the one word of its command line.
 */
import { appendFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createDelivery } from "../../src/agent/delivery.ts";
import { keepConnected } from "../../src/agent/server-connection.ts";
import { createSocketOpener } from "../../src/agent/socket.ts";
import { openSpool } from "../../src/agent/spool.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { repeat } from "../../src/lib/loops.ts";
import { quiet } from "../support/log.ts";
import type { AgentsPlan, SoakHost } from "./agents.ts";

/** A host's waits between two attempts to connect, and the like, are so much shorter: faults come faster here than in life. */
const HASTE = 8;
/** Of what fails this part is new: so people are told of something at any time. */
const NEWS_PART = 1 / 600;
const SPOOL_BYTES_MAX = 64 * 1024 * 1024;

const plan: AgentsPlan = JSON.parse(process.argv[2] ?? "{}");
const system = createSystemClock();
const clock = { ...system, sleep: (ms: number, signal?: AbortSignal) => system.sleep(ms / HASTE, signal) };
/** Ids of this process differ from those of the one before, which may have written more than it could note. */
const life = crypto.randomUUID().slice(0, 8);

function startHost({ name, token, dir }: SoakHost): () => Promise<void> {
  mkdirSync(dir, { recursive: true });
  const note = (file: string, id: string) => appendFileSync(join(dir, file), `${id}\n`);
  const spool = openSpool({ dir: join(dir, "spool"), bytesMax: SPOOL_BYTES_MAX, clock, log: quiet });
  const settled = (id: string, refusal?: string) =>
    refusal === undefined ? note("acknowledged", id) : note("refused", `${id} ${refusal}`);
  const delivery = createDelivery({ spool, clock, log: quiet, settled });
  keepConnected({
    openSocket: createSocketOpener({
      server: { url: plan.socketUrl, ca: null, proxy: null, isExposed: false },
      token,
      version: "soak",
      clock,
    }),
    serverUrl: plan.socketUrl,
    delivery,
    readFacts: async () => ({ hostname: name, spool: { waiting: spool.status().waiting } }),
    command: () => undefined,
    welcomed: () => undefined,
    clock,
    log: quiet,
  });
  let told = 0;
  return async () => {
    told++;
    const source = Math.random() < NEWS_PART ? `once-${life}-${told}` : `service-${told % plan.sources}`;
    const id = `${source}:${life}:${told}`;
    const data = JSON.stringify({
      type: "systemd",
      source,
      message: `${source} failed`,
      logs: `line of ${id}`,
      at: Date.now() / 1000,
    });
    const saved = spool.add({ id, type: "alert", data, compression: "none", key: Bun.hash.crc32(source) });
    delivery.wake();
    await saved;
    note("kept", id);
  };
}

for (const host of plan.hosts) {
  const tell = startHost(host);
  const failed = (error: unknown) => {
    throw error;
  };
  repeat(system, plan.everyMs, async () => void (existsSync(plan.quietPath) || (await tell())), failed);
}
