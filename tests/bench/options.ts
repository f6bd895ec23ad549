import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { SCENARIOS, type ScenarioName } from "./scenarios.ts";
import { SUBJECT_NAMES, type SubjectName } from "./subjects.ts";

/** What `--help` and a mistake show. */
export const USAGE = `Measures OpsPilot beside other implementations of its protocol: one machine, one PostgreSQL (fsync on), in turn.
usage: bun run bench --peers DIR [options]
  --peers DIR        the folder of the load generator and the Go backend, with build.sh (or PEERS_DIR)
  --against PATH     the executable of another build of OpsPilot, beside this one
  --subjects A,B     what is measured (all that are possible):
                       ours     OpsPilot, built from this checkout
                       against  the other build
                       plain    plain Go: a statement for each event
                       tuned    the same, with tokens cached and last_seen written once a second
                       limit    the same approach as ours, without anything that a server owes (limit/limit.ts)
  --only A,B         scenarios (all):
                       alerts        2 KB of logs, 200 connections, no two of a kind; protocol 1.1 and 1.0
                       grouped       the same, all alerts of a host of one kind
                       heartbeats    protocol 1.1 and 1.0
                       latency       1,000 alerts/s of 200 hosts
                       commands      from the request to the host, and to its answer
                       connections   idle hosts: memory, heartbeats, a restart
                       nodes         alerts to two servers on one database, and to one
                       alertmanager  single alerts to Alertmanager over HTTP, and to OpsPilot
  --runs N           runs of each subject in each scenario (3; connections: 1)
  --duration S       how long one run sends (8)
  --count N          messages of each run of protocol 1.0, instead of what fits into the duration
  --connections N    idle hosts (18000)
  --quick            one short run of each: shows that it works, not how fast it is
  --json             one JSON object instead of the tables`;

/** What the command line asks for. */
export interface Options {
  readonly peers: string;
  readonly against: string | undefined;
  readonly subjects: readonly SubjectName[];
  readonly scenarios: readonly ScenarioName[];
  readonly runs: number;
  readonly seconds: number;
  readonly count: number | undefined;
  readonly connections: number;
  readonly quick: boolean;
  readonly json: boolean;
}

/** Reads the command line; undefined when it is to be explained. */
export function readOptions(words: readonly string[], peersDir: string | undefined): Options | undefined {
  const { values } = parseArgs({
    args: [...words],
    options: {
      peers: { type: "string", default: peersDir ?? "" },
      against: { type: "string" },
      subjects: { type: "string" },
      runs: { type: "string" },
      duration: { type: "string" },
      count: { type: "string" },
      connections: { type: "string" },
      only: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { peers, quick, json } = values;
  const against = values.against === undefined ? undefined : resolve(values.against);
  const possible = SUBJECT_NAMES.filter((name) => name !== "against" || against !== undefined);
  const subjects = listed(values.subjects, possible);
  const scenarios = listed(values.only, Object.keys(SCENARIOS) as ScenarioName[]);
  const runs = Number(values.runs ?? (quick ? 1 : 3));
  const seconds = Number(values.duration ?? (quick ? 2 : 8));
  const count = values.count === undefined ? undefined : Number(values.count);
  const connections = Number(values.connections ?? (quick ? 200 : 18_000));
  const areCounts = [runs, seconds, count ?? 1, connections].every((value) => value > 0);
  if (values.help || peers === "" || !subjects || !scenarios || !areCounts) return undefined;
  return { peers, against, subjects, scenarios, runs, seconds, count, connections, quick, json };
}

/** The names that are asked for, in the order of `known`; undefined when one of them is unknown. */
function listed<Name extends string>(text: string | undefined, known: readonly Name[]): readonly Name[] | undefined {
  if (text === undefined) return known;
  const words = text.split(",");
  const names = known.filter((name) => words.includes(name));
  return names.length === words.length ? names : undefined;
}
