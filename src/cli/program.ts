import { Command, CommanderError } from "commander";
import type { Flags } from "../config/sources.ts";
import { ExitCode } from "../lib/errors.ts";
import { report } from "./report.ts";
import { VERSION } from "./version.ts";

/** The command when none is given. */
const DEFAULT_COMMAND = "serve";

/**
 * Runs the command that the words name, and resolves with the exit status. Never rejects: what went wrong is told on
 * standard error. `stop` asks for an early end. Each command is loaded only when it is the one, so that the others do not pay
 * for it.
 */
export async function runCli(words: readonly string[], stop: AbortSignal): Promise<number> {
  let exitCode: number = ExitCode.ok;
  const program = createProgram(stop, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(withDefault(words), { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
    return report(error);
  }
}

function withDefault(words: readonly string[]): string[] {
  const [first] = words;
  const isFlagOfServe = first?.startsWith("-") && !["-h", "--help", "-V", "--version"].includes(first);
  return first === undefined || isFlagOfServe ? [DEFAULT_COMMAND, ...words] : [...words];
}

type Action = () => Promise<number>;

function createProgram(stop: AbortSignal, finish: (exitCode: number) => void): Command {
  const run = async (action: Action) => finish(await action());
  const program = new Command("opspilot")
    .description("Agents connect, alerts become incidents, decisions go back to the host.")
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError()
    .helpCommand("help [command]", "show this, or more about one command");

  withSettings(program.command("serve"))
    .description("run the server (the default)")
    .option("--port <number>", "where to listen; 0 takes any free port (PORT)")
    .option("--host <address>", "the address to listen on (HOST)")
    .action((flags: Flags) => run(async () => (await import("./serve.ts")).serve(flags, stop)));

  withSettings(program.command("migrate"))
    .description("bring the database's tables up to date, and end")
    .action((flags: Flags) => run(async () => (await import("./migrate.ts")).migrate(flags)));

  addTokenCommands(program, run);

  program
    .command("systemd")
    .description("print a systemd unit for the server")
    .action(() => run(async () => (await import("./systemd.ts")).systemd()));

  program
    .command("version")
    .description("print the version")
    .option("--json", "with what it was built for, as JSON")
    .action(({ json }: { json?: true }) => run(async () => (await import("./version.ts")).printVersion(json === true)));
  return program;
}

function addTokenCommands(program: Command, run: (action: Action) => Promise<void>): void {
  const token = program.command("token").description("agents and their tokens");
  withSettings(token.command("create"))
    .description("make an agent, and print its token, this once")
    .option("--hostname <name>", "the host's name; its agent tells it, too")
    .option("--json", "as JSON")
    .action((flags: Flags & { hostname?: string; json?: true }) =>
      run(async () => (await import("./token.ts")).createToken(flags)),
    );
  withSettings(token.command("list"))
    .description("list the agents")
    .option("--json", "as JSON")
    .action((flags: Flags & { json?: true }) => run(async () => (await import("./token.ts")).listTokens(flags)));
  withSettings(token.command("revoke"))
    .description("remove an agent: its token is no longer good, its incidents stay")
    .argument("<agent-id>", "as `token list` shows it")
    .action((agentId: string, flags: Flags) =>
      run(async () => (await import("./token.ts")).revokeToken(agentId, flags)),
    );
}

function withSettings(command: Command): Command {
  return command
    .option("--env-file <path>", "read settings from this file (default: .env, if it is there)")
    .option("--data-dir <path>", "where the built-in database is (OPSPILOT_DATA_DIR)");
}
