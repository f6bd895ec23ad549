import type { Category } from "../model.ts";
import type { Rule, Tier } from "../rules/rule.ts";

/** An exit status of systemd's own: what it could not do before it ran the program. */
interface Step {
  readonly status: number;
  /** The step's name in the journal ("Failed at step CHDIR"), which stands after the number too. */
  readonly name: string;
  readonly category: Category;
  readonly cause: string;
  readonly fix: string;
  /** The words in which the executor says why. */
  readonly said?: string;
  readonly tier?: Tier;
}

/** systemd's exit statuses (src/shared/exit-status.c, systemd.exec(5)) that say what is missing or refused. */
const STEPS: readonly Step[] = [
  {
    status: 200,
    name: "CHDIR",
    category: "missing_file",
    said: "changing to the requested working directory failed",
    cause:
      "The directory {path|} that the unit of {source} names as WorkingDirectory= does not exist, or may not be entered.",
    fix: "See WorkingDirectory= in {show}. Create the directory for the unit's user or correct the path, then {restart} ({source}).",
  },
  {
    status: 203,
    name: "EXEC",
    category: "missing_file",
    tier: "symptom",
    cause:
      "systemd could not run the program of {source}: as a rule its path does not exist, or it may not be executed.",
    fix: "See ExecStart= in {show} and whether the program exists and may be executed (`ls -l`), correct one of the two, then {restart} ({source}).",
  },
  {
    status: 216,
    name: "GROUP",
    category: "config_error",
    said: "failed to determine group credentials | failed to update group credentials",
    cause: "The group that the unit of {source} names (Group= or SupplementaryGroups=) does not exist on this host.",
    fix: "See the group in {show}. Create it (`groupadd --system`) or correct its name with {edit}, then {restart} ({source}).",
  },
  {
    status: 217,
    name: "USER",
    category: "config_error",
    said: "failed to determine user credentials | failed to update dynamic user credentials",
    cause: "The user that the unit of {source} names (User=) does not exist on this host.",
    fix: "See the user in {show}. Create it (`useradd --system`) or correct its name with {edit}, then {restart} ({source}).",
  },
  {
    status: 209,
    name: "STDOUT",
    category: "missing_file",
    tier: "likely",
    said: "failed to set up standard output",
    cause:
      "The file that the unit of {source} writes its output to (StandardOutput=) cannot be opened: {path|its directory} is missing or refused.",
    fix: "See StandardOutput= in {show}; create the directory or correct the path, then {restart} ({source}).",
  },
  {
    status: 226,
    name: "NAMESPACE",
    category: "missing_file",
    tier: "likely",
    said: "failed to set up mount namespacing",
    cause:
      "A path that the unit of {source} hides, binds or makes writable ({path|ReadWritePaths=, BindPaths= and the like}) does not exist.",
    fix: "See the paths in {show}; create the one that is missing, or put `-` before it, then {restart} ({source}).",
  },
  {
    status: 243,
    name: "CREDENTIALS",
    category: "missing_file",
    tier: "likely",
    said: "failed to set up credentials",
    cause: "A credential of the unit of {source} (LoadCredential=) cannot be read.",
    fix: "See LoadCredential= in {show}; create the file or correct the path, then {restart} ({source}).",
  },
  {
    status: 238,
    name: "STATE_DIRECTORY",
    category: "permission_denied",
    tier: "likely",
    said: "failed to set up special execution directory",
    cause: "systemd could not make a directory for {source} (StateDirectory=, RuntimeDirectory= or CacheDirectory=).",
    fix: "See the directories in {show} and who owns those that exist (`ls -ld`), correct them, then {restart} ({source}).",
  },
  {
    status: 218,
    name: "CAPABILITIES",
    category: "permission_denied",
    tier: "cause",
    said: "failed to drop capabilities",
    cause: "systemd may not give {source} the capabilities that its unit asks for.",
    fix: "See the capabilities in {show}; take out what the host or container does not grant with {edit}, then {restart} ({source}).",
  },
];

/** The steps' rules: by the number with its word, by the step's name, or by the executor's own words. */
const STEP_RULES: readonly Rule[] = STEPS.map(({ status, name, category, cause, fix, said = "", tier = "root" }) => {
  const words = said.split(" | ").filter((each) => each !== "");
  const spelled = [`code=exited, status=${status}\\b`, `\\b${status}/${name}\\b`, `step ${name}\\b`, ...words];
  return {
    id: `systemd-${name.toLowerCase().replace("_", "-")}`,
    category,
    where: "both",
    any: [`code=exited, status=${status}`, `${status}/${name.toLowerCase()}`, `step ${name.toLowerCase()}`, ...words],
    when: new RegExp(spelled.join("|"), "i"),
    not: /permission denied|not permitted|exec format/i,
    beats: [
      "systemd-exec-missing",
      "systemd-unit-invalid",
      "status-203",
      "errno-no-entry",
      "no-such-file",
      "data-directory-missing",
    ],
    exitCodes: [status],
    tier,
    cause,
    fix,
  };
});

/** What systemd says of how a unit ended (UNIT_RESULT; systemd.service(5)), where it says why. */
const RESULTS: readonly Rule[] = [
  {
    id: "systemd-environment-file",
    category: "missing_file",
    where: "both",
    any: ["failed to load environment files"],
    when: /failed to load environment files/i,
    not: /permission denied/i,
    beats: ["environment-file-missing", "errno-no-entry", "no-such-file"],
    tier: "root",
    cause:
      "An environment file that the unit of {source} names (EnvironmentFile=) does not exist; systemd does not say which.",
    fix: "See EnvironmentFile= in {show}. Restore the file, or put `-` before its path if the service does without, then {restart} ({source}).",
  },
  {
    id: "systemd-result-resources",
    category: "missing_file",
    where: "both",
    any: ["result 'resources'", "result: resources"],
    tier: "symptom",
    cause: "systemd could not prepare {source}: as a rule a file or directory that its unit names does not exist.",
    fix: "See the paths and EnvironmentFile= in {show} and the line of systemd before this one ({logs}); restore what is missing, then {restart} ({source}).",
  },
  {
    id: "systemd-result-watchdog",
    category: "timeout",
    where: "both",
    any: ["result 'watchdog'", "result: watchdog", "watchdog timeout (limit"],
    // The signal is the watchdog's, and so is the core dump.
    tier: "root",
    cause: "{source} gave systemd no sign of life within its watchdog's time (WatchdogSec=), and systemd ended it.",
    fix: "See in {logs} what {source} did when it went silent: was it stuck, overloaded, or waiting for something? Cure that; raise WatchdogSec= with {edit} only when the work really takes so long. Then {restart}.",
  },
];

/** systemd's own numbers and results. */
export const SYSTEMD_CODES: readonly Rule[] = [...STEP_RULES, ...RESULTS];
