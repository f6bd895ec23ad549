import { type OnceOutcome, sendByAgent, sendOnce } from "../agent/once.ts";
import { createSocketOpener } from "../agent/socket.ts";
import { cannotUse, claimStateDir, StateDirTakenError, statePaths } from "../agent/state-dir.ts";
import type { AgentConfig, AgentFlags } from "../config/agent.ts";
import { readSurroundings } from "../config/environment.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode, unreachable } from "../lib/errors.ts";
import { subjectOf } from "./agent-subject.ts";
import { VERSION } from "./version.ts";

/**
 * Sends one test alert and waits until the server has it: 0. Else 69 (the server did not answer), 77 (it does not accept the
 * token) or 1 (it refused the alert).
 */
export async function agentOnce(flags: AgentFlags, stop: AbortSignal): Promise<number> {
  const { config } = subjectOf(flags, readSurroundings());
  const outcome = await send(config, stop);
  const { text, exitCode } = describe(outcome, config.server.url);
  (exitCode === ExitCode.ok ? process.stdout : process.stderr).write(`${text}\n`);
  return exitCode;
}

/** The agent that runs here would be thrown out by another connection with its token: then it sends the alert. */
async function send(config: AgentConfig, stop: AbortSignal): Promise<OnceOutcome> {
  const clock = createSystemClock();
  const { server, token } = config;
  try {
    const claim = claimStateDir(config.stateDir);
    const openSocket = createSocketOpener({ server, token, version: VERSION, clock });
    return await sendOnce({ openSocket, version: VERSION, clock }, stop).finally(claim.release);
  } catch (error) {
    if (!(error instanceof StateDirTakenError)) throw error;
  }
  const { inbox } = statePaths(config.stateDir);
  return sendByAgent(inbox, clock, stop).catch((error) => {
    throw cannotUse(inbox, error);
  });
}

function describe(result: OnceOutcome, url: string): { text: string; exitCode: number } {
  switch (result.outcome) {
    case "acknowledged":
      return {
        text: `${url} has the test alert (acknowledged after ${Math.round(result.tookMs)} ms).`,
        exitCode: ExitCode.ok,
      };
    case "refused":
      return { text: `opspilot: ${url} refuses the test alert: ${result.detail}`, exitCode: ExitCode.failure };
    case "unauthorized":
      return {
        text: `opspilot: ${url} does not accept the token (${result.detail}); make one by \`opspilot token create\` on the server`,
        exitCode: ExitCode.noPermission,
      };
    case "unavailable":
      return { text: `opspilot: ${url} does not answer: ${result.detail}`, exitCode: ExitCode.unavailable };
    default:
      return unreachable(result);
  }
}
