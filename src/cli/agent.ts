import { startAgent } from "../agent/agent.ts";
import { createCollectors } from "../agent/collectors/all.ts";
import { createDockerApi } from "../agent/docker-api.ts";
import { createExecutor } from "../agent/executor.ts";
import { openLedger } from "../agent/ledger.ts";
import { createProcessRunner } from "../agent/run-process.ts";
import { statePaths } from "../agent/state-dir.ts";
import { type AgentConfig, type AgentFlags, loadAgentConfig } from "../config/agent.ts";
import { type Clock, createSystemClock } from "../lib/clock.ts";
import { ExitCode } from "../lib/errors.ts";
import { createLog, type Log } from "../lib/log.ts";
import { nextSurprise, stopped } from "./ends.ts";
import { VERSION } from "./version.ts";

/** Runs the agent until `stop` aborts (0) or it cannot go on (1). Throws a StartupError when it cannot start. */
export async function runAgent(flags: AgentFlags, stop: AbortSignal): Promise<number> {
  const config = loadAgentConfig(flags);
  const log = createLog({ level: config.logLevel, readable: process.stdout.isTTY === true });
  const surprise = nextSurprise(log);
  const agent = await startAgent(partsOf(config, log, createSystemClock()));
  log.info({ version: VERSION, server: config.server.url, dir: config.stateDir }, "the agent runs");
  if (config.server.isExposed) log.warn("the token goes over the network unencrypted: use wss:// or https://");
  const end = await Promise.race([stopped(stop), surprise]);
  if (end instanceof Error) log.fatal({ error: end }, "the agent cannot go on");
  else log.info("stopping");
  await agent.stop();
  return end instanceof Error ? ExitCode.failure : ExitCode.ok;
}

function partsOf(config: AgentConfig, log: Log, clock: Clock): Parameters<typeof startAgent>[0] {
  const run = createProcessRunner({ searchPath: config.searchPath, clock });
  const docker = createDockerApi({ socketPath: config.dockerSocket });
  return {
    config,
    version: VERSION,
    clock,
    log,
    createCollectors: () =>
      createCollectors(config.collectors, {
        clock,
        log,
        run,
        searchPath: config.searchPath,
        docker,
        stateDir: statePaths(config.stateDir).collectors,
      }),
    createExecutor() {
      const ledger = openLedger({ dir: statePaths(config.stateDir).commands, clock, log });
      return createExecutor({ allow: config.allow, ledger, run, docker, clock, log });
    },
  };
}
