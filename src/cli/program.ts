import { Command, CommanderError, Option } from "commander";
import type { AgentFlags } from "../config/agent.ts";
import type { RunFlags } from "../config/run.ts";
import type { Flags } from "../config/sources.ts";
import { ExitCode, errorMessage, OpsPilotError, StartupError } from "../lib/errors.ts";
import type { BackupFlags, RestoreFlags } from "./backup.ts";
import type { EvalFlags } from "./eval.ts";
import type { IntegrationFlags } from "./integration.ts";
import type { SupportFlags } from "./support.ts";
import type { CreateFlags } from "./token.ts";
import type { UpdateFlags } from "./update.ts";
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

/** Whether the words name a command that runs until it is stopped: what it costs at rest counts more than how soon it starts. */
export function isLongRunning(words: readonly string[]): boolean {
  const [command] = withDefault(words);
  return command === "serve" || command === "agent";
}

/** Whether the words name a command that stands in for another: signals are for that one, and its environment is left as it is. */
export function isStandIn(words: readonly string[]): boolean {
  return words[0] === "run";
}

/** Waits for the command's file, and runs the command. */
type Run = <M>(loading: Promise<M>, command: (file: M) => number | Promise<number>) => Promise<void>;

function createProgram(stop: AbortSignal, finish: (exitCode: number) => void): Command {
  const run: Run = async (loading, command) => finish(await command(await loading));
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
    .action((flags: Flags) => run(import("./serve.ts"), ({ serve }) => serve(flags, stop)));

  withSettings(program.command("migrate"))
    .description("bring the database's tables up to date, and end")
    .action((flags: Flags) => run(import("./migrate.ts"), ({ migrate }) => migrate(flags)));

  addUpkeepCommands(program, run, stop);
  addTokenCommands(program, run);
  addNotifyCommands(program, run);
  addIntegrationCommands(program, run);
  addAgentCommands(program, run, stop);
  addSlackCommands(program, run);

  program
    .command("run")
    .description("run a job, and tell the server by a ping when it begins and how it ends")
    .argument("<command...>", "the job: a command with its arguments, after --")
    .option("--ping <url>", "the job's ping; others on this host can see it (OPSPILOT_PING)")
    .option("--ping-file <path>", "a file that holds it (OPSPILOT_PING_FILE)")
    .option("--ca <path>", "the authority of the server's certificate, in PEM (OPSPILOT_CA)")
    .action((command: string[], flags: RunFlags) => run(import("./run.ts"), ({ runJob }) => runJob(command, flags)));

  withSettings(program.command("doctor"))
    .description("look at settings, database, disk, clock, Slack and the model, and say what to do")
    .option("--json", "as JSON")
    .action((flags: Flags & { json?: true }) => run(import("./doctor.ts"), ({ doctor }) => doctor(flags)));

  withSettings(program.command("support"))
    .description("write one archive for a report of a fault, without secrets")
    .argument("<file>", "such as opspilot-support.tar.gz; a name that ends in .zst is compressed by zstd")
    .option("--with-names", "names of hosts and addresses as they are")
    .option("--log <path>", "a file with the server's log, where it is not in the journal")
    .action((file: string, flags: SupportFlags) => run(import("./support.ts"), ({ support }) => support(file, flags)));

  withSettings(program.command("eval"))
    .description("measure explanations by the incidents of which people said what they were")
    .option("--model", "ask the model, too: about the newest 200")
    .option("--json", "as JSON")
    .action((flags: EvalFlags) => run(import("./eval.ts"), ({ evalOwn }) => evalOwn(flags, stop)));

  program
    .command("systemd")
    .description("print a systemd unit for the server")
    .action(() => run(import("./systemd.ts"), ({ systemd }) => systemd()));

  addMonitoringCommands(program, run);

  program
    .command("version")
    .description("print the version")
    .option("--json", "with what it was built for, as JSON")
    .action(({ json }: { json?: true }) =>
      run(import("./version.ts"), ({ printVersion }) => printVersion(json === true)),
    );
  return program;
}

function addUpkeepCommands(program: Command, run: Run, stop: AbortSignal): void {
  const load = () => import("./backup.ts");
  withSettings(program.command("backup"))
    .description("write all that the database has to a file, while the server runs")
    .argument("<file>", "where to: a path, a directory, or s3://bucket/key")
    .option("--keep <number>", "delete the oldest backups of the directory, so that so many are left")
    .option("--json", "as JSON")
    .action((file: string, flags: BackupFlags) => run(load(), ({ backup }) => backup(file, flags, stop)));
  withSettings(program.command("restore"))
    .description("make the database of a backup, while no server runs")
    .argument("<file>", "as `backup` wrote it")
    .option("--check", "only look whether it is whole, and could be restored")
    .option("--replace", "put aside the built-in database that is there")
    .action((file: string, flags: RestoreFlags) => run(load(), ({ restore }) => restore(file, flags)));
  withSettings(program.command("update"))
    .description("put a new executable in the server's place, restart it, and go back if it does not get ready")
    .argument("<file>", "the new executable")
    .option("--sha256 <digest>", "its checksum (default: what <file>.sha256 says)")
    .option("--backup <file>", "back the database up to this file first")
    .option("--wait <duration>", "how long the new one may take to get ready (default: 2m)")
    .option("--executable <path>", "the server's (default: this one)")
    .option("--restart <command>", "what restarts the server (default: systemctl, where the service runs)")
    .action((file: string, flags: UpdateFlags) =>
      run(import("./update.ts"), ({ update }) => update(file, flags, stop)),
    );
}

function addTokenCommands(program: Command, run: Run): void {
  const load = () => import("./token.ts");
  const token = program
    .command("token")
    .description("tokens: of agents, of people and programs, and for hosts to enrol");
  withSettings(token.command("create"))
    .description("make an agent, and print its token, this once; or a token of another kind")
    .option("--hostname <name>", "the host's name; its agent tells it, too")
    .option("--role <role>", "a token of the API and the page in place of an agent's: viewer, operator or admin")
    .option("--name <name>", "whose it is, as the audit trail names it; with --role")
    .option("--enrol", "a token by which hosts make themselves known, in place of an agent's")
    .option("--uses <number>", "how many hosts; with --enrol (default: 1)")
    .option("--expires <duration>", "such as 90d; with --role (default: never) or --enrol (default: 1d)")
    .option("--json", "as JSON")
    .action((flags: CreateFlags) => run(load(), ({ createToken }) => createToken(flags)));
  withSettings(token.command("list"))
    .description("list the agents, or tokens of another kind")
    .option("--access", "tokens of the API, and when they were used last")
    .option("--enrol", "tokens by which hosts make themselves known")
    .option("--json", "as JSON")
    .action((flags: Flags & { access?: true; enrol?: true; json?: true }) =>
      run(load(), ({ listTokens }) => listTokens(flags)),
    );
  withSettings(token.command("rotate"))
    .description("give an agent another token, and print it, this once")
    .argument("<agent-id>", "as `token list` shows it")
    .option("--grace <duration>", "for how long the old one stays good beside it, such as 1h (default: not at all)")
    .option("--json", "as JSON")
    .action((agentId: string, flags: Flags & { grace?: string; json?: true }) =>
      run(load(), ({ rotateToken }) => rotateToken(agentId, flags)),
    );
  withSettings(token.command("revoke"))
    .description("remove an agent: its token is no longer good, its incidents stay; or revoke another token")
    .argument("<id>", "as `token list` shows it")
    .action((id: string, flags: Flags) => run(load(), ({ revokeToken }) => revokeToken(id, flags)));
}

function addIntegrationCommands(program: Command, run: Run): void {
  const load = () => import("./integration.ts");
  const integration = program.command("integration").description("what alerts beside agents, each with its own token");
  withSettings(integration.command("create"))
    .description("make an integration, and print its token, this once, and the lines to paste where it alerts")
    .option(
      "--kind <kind>",
      "alertmanager (and Grafana), cron (a job, by its pings), or generic: whatever sends by HTTP",
    )
    .option("--name <name>", "whose alerts these are")
    .option("--schedule <pattern>", "of a job: five fields of cron, or such as @daily")
    .option("--zone <zone>", "of the schedule, such as Europe/Berlin (default: UTC)")
    .option("--every <duration>", "of a job, in place of a schedule")
    .option("--grace <duration>", "so long after it was due a job is not late yet (default: 5m)")
    .option("--limit <duration>", "how long a job may run at most")
    .option("--json", "as JSON")
    .action((flags: IntegrationFlags) => run(load(), ({ createIntegration }) => createIntegration(flags)));
  withSettings(integration.command("list"))
    .description("list the integrations, and when they were used last")
    .option("--json", "as JSON")
    .action((flags: IntegrationFlags) => run(load(), ({ listIntegrations }) => listIntegrations(flags)));
  withSettings(integration.command("rotate"))
    .description("give an integration another token, and print it, this once; the old one is no good from then on")
    .argument("<id>", "as `integration list` shows it")
    .option("--json", "as JSON")
    .action((id: string, flags: IntegrationFlags) =>
      run(load(), ({ rotateIntegration }) => rotateIntegration(id, flags)),
    );
  withSettings(integration.command("revoke"))
    .description("remove an integration: its token is no longer good, its incidents stay")
    .argument("<id>", "as `integration list` shows it")
    .action((id: string, flags: IntegrationFlags) =>
      run(load(), ({ revokeIntegration }) => revokeIntegration(id, flags)),
    );
}

function addMonitoringCommands(program: Command, run: Run): void {
  const load = () => import("./monitoring.ts");
  const monitoring = program.command("monitoring").description("what watches the server from outside, by /metrics");
  monitoring
    .command("rules")
    .description("print alert rules for Prometheus")
    .action(() => run(load(), ({ printMonitoring }) => printMonitoring("rules")));
  monitoring
    .command("grafana")
    .description("print a dashboard for Grafana")
    .action(() => run(load(), ({ printMonitoring }) => printMonitoring("grafana")));
}

function addSlackCommands(program: Command, run: Run): void {
  const load = () => import("./slack.ts");
  const slack = program.command("slack").description("the way to Slack");
  withSettings(slack.command("test"))
    .description("post a sample message, and press nothing")
    .action((flags: Flags) => run(load(), ({ testSlack }) => testSlack(flags)));
  slack
    .command("manifest")
    .description("print the manifest of the Slack app to create, with what each permission is for")
    .option("--json", "as JSON")
    .option("--url <url>", "the server's public address: buttons come there, and not by Socket Mode")
    .action((options: { json?: true; url?: string }) => run(load(), ({ printManifest }) => printManifest(options)));
}

function addNotifyCommands(program: Command, run: Run): void {
  const notify = program.command("notify").description("the outlets by which people are told");
  withSettings(notify.command("test"))
    .description("send a sample by each outlet, or by one")
    .argument("[name]", "the outlet's")
    .action((name: string | undefined, flags: Flags) =>
      run(import("./notify.ts"), ({ testNotify }) => testNotify(name, flags)),
    );
}

function withSettings(command: Command): Command {
  return command
    .option("--env-file <path>", "read settings from this file (default: .env, if it is there)")
    .option("--data-dir <path>", "where the built-in database is (OPSPILOT_DATA_DIR)");
}

function addAgentCommands(program: Command, run: Run, stop: AbortSignal): void {
  const load = () => import("./agent.ts");
  // Then the settings may stand on both sides of a subcommand's name.
  const agent = program.command("agent").enablePositionalOptions();
  withAgentSettings(agent)
    .description("run the agent: watch this host and report to the server")
    .action((flags: AgentFlags) => run(load(), ({ runAgent }) => runAgent(flags, stop)));
  withAgentSettings(agent.command("once"))
    .description("send one test alert, and end once the server has it")
    .action((_: unknown, command: Command) =>
      run(load(), ({ agentOnce }) => agentOnce(command.optsWithGlobals(), stop)),
    );
  withAgentSettings(agent.command("check"))
    .description("say what can be seen and done on this host, and why not")
    .action((_: unknown, command: Command) => run(load(), ({ checkAgent }) => checkAgent(command.optsWithGlobals())));
  addInstallCommands(agent, run, stop);
}

function addInstallCommands(agent: Command, run: Run, stop: AbortSignal): void {
  const load = () => import("./agent-install.ts");
  withServerSettings(agent.command("install"))
    .description("make the agent a systemd service of this host")
    .option("--docker", "watch containers too: its user joins the group docker, which is as good as root")
    .option("--no-docker", "its user leaves the group docker again")
    .option("--group <name>", "a group whose files it may read, such as adm; may be repeated", repeated)
    .option("--user <name>", "the user that it runs as (default: opspilot-agent)")
    .option("--root <directory>", "install into the system that is mounted there")
    .option("--dry-run", "only say what would be done")
    .action((_: unknown, command: Command) =>
      run(load(), ({ installAgent }) => installAgent(command.optsWithGlobals())),
    );
  agent
    .command("update")
    .description(
      "put the server's executable, or another, in the place of the service's; the former one comes back if it fails",
    )
    .argument("[file]", "the new executable (default: what the server hands out)")
    .option("--force", "also an older version, and where a server of this host uses the same executable")
    .addOption(new Option("--settle", "end an update that was killed; run by the service's unit").hideHelp())
    .action((file: string | undefined, _: unknown, command: Command) =>
      run(import("./agent-update.ts"), ({ updateAgent }) => updateAgent(file, command.opts(), stop)),
    );
  agent
    .command("uninstall")
    .description("take the service away again")
    .option("--purge", "its settings and what it still has to send, too")
    .option("--root <directory>", "from the system that is mounted there")
    .option("--dry-run", "only say what would be done")
    .action((_: unknown, command: Command) =>
      run(load(), ({ uninstallAgent }) => uninstallAgent(command.optsWithGlobals())),
    );
}

function repeated(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function withAgentSettings(command: Command): Command {
  return withServerSettings(command)
    .option("--env-file <path>", "read settings from this file (default: .env, if it is there)")
    .option("--data-dir <path>", "where the agent keeps what it has to send (OPSPILOT_DATA_DIR)");
}

function withServerSettings(command: Command): Command {
  return command
    .option("--server <url>", "the server, such as wss://ops.example.com (OPSPILOT_SERVER)")
    .option("--token <token>", "for a try only, since others on this host can see it (OPSPILOT_TOKEN)")
    .option("--token-file <path>", "a file that holds the token (OPSPILOT_TOKEN_FILE)")
    .option("--enrol-token <token>", "in place of a token: by this the host makes itself known (OPSPILOT_ENROL_TOKEN)")
    .option("--allow <list>", "what the server may have done here (OPSPILOT_ALLOW)")
    .option("--ca <path>", "the authority of the server's certificate, in PEM (OPSPILOT_CA)");
}

/** Tells a person on standard error what went wrong, and returns the exit status for it. */
export function report(error: unknown): number {
  process.stderr.write(`opspilot: ${textOf(error)}\n`);
  if (error instanceof StartupError) return error.exitCode;
  return isSystemError(error) && error.code === "ENOSPC" ? ExitCode.cannotCreate : ExitCode.failure;
}

/** What was expected, or what the system says, needs no stack trace; a surprise does. */
function textOf(error: unknown): string {
  if (isSystemError(error) && error.code === "ENOSPC") return `no space is left on the disk (${error.message})`;
  if (error instanceof OpsPilotError || isSystemError(error) || !(error instanceof Error)) return errorMessage(error);
  const { stack = error.message, cause } = error;
  return cause === undefined ? stack : `${stack}\ncaused by: ${errorMessage(cause)}`;
}

function isSystemError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}
