import { type Amount, measure, type Traffic } from "./load.ts";
import type { Comparison, Figures } from "./report.ts";
import { type Bench, inTurn, ofSubjects, withServer } from "./runs.ts";
import type { SubjectName } from "./subjects.ts";

/** Connections that send at once. */
export const CONNECTIONS = 200;
/** Different alerts of one connection. */
export const VARIANTS = 2048;
/** Most alerts of a run in which none group. */
const DISTINCT_MAX = CONNECTIONS * VARIANTS;
const LATENCY_RATE = 1_000;

/** Alerts of which no two are of a kind. */
export function alerts(bench: Bench): Promise<Comparison[]> {
  return asFastAsPossible(bench, "alerts", bench.options.subjects, { mode: "alert", variants: VARIANTS });
}

/** Alerts that group into one incident an agent. */
export function grouped(bench: Bench): Promise<Comparison[]> {
  // The limit does not group, and fails on two alerts of a kind in one batch.
  const names = bench.options.subjects.filter((name) => name !== "limit");
  return asFastAsPossible(bench, "grouped alerts", names, { mode: "alert", variants: 1 });
}

/** The smallest frames. */
export function heartbeats(bench: Bench): Promise<Comparison[]> {
  return asFastAsPossible(bench, "heartbeats", bench.options.subjects, { mode: "heartbeat", variants: 1 });
}

/** How long an alert takes to be durable while the server is not busy with others. */
export async function latency(bench: Bench): Promise<Comparison[]> {
  const title = `${LATENCY_RATE.toLocaleString("en")} alerts/s`;
  const traffic = {
    mode: "alert",
    version: "1.1",
    connections: CONNECTIONS,
    variants: VARIANTS,
    rate: LATENCY_RATE,
  } as const;
  const run = (name: SubjectName) =>
    withServer(bench, name, { version: "1.1", agents: CONNECTIONS }, (server) =>
      measure(bench, server, traffic, { seconds: bench.options.seconds }),
    );
  return [await inTurn(bench, title, ofSubjects(bench.options.subjects, run))];
}

/** 1.1 comes first: the rate that it shows says how many messages of 1.0 fill the duration. */
async function asFastAsPossible(
  bench: Bench,
  what: string,
  names: readonly SubjectName[],
  kind: Pick<Traffic, "mode" | "variants">,
): Promise<Comparison[]> {
  const fastest = new Map<SubjectName, number>();
  const comparisons: Comparison[] = [];
  for (const version of ["1.1", "1.0"] as const) {
    const run = async (name: SubjectName): Promise<Figures> => {
      const amount = version === "1.1" ? { seconds: bench.options.seconds } : countFor(bench, kind, fastest.get(name));
      const figures = await withServer(bench, name, { version, agents: CONNECTIONS }, (server) =>
        measure(bench, server, { ...kind, version, connections: CONNECTIONS }, amount),
      );
      fastest.set(name, Math.max(fastest.get(name) ?? 0, figures.per_second ?? 0));
      return figures;
    };
    comparisons.push(await inTurn(bench, `${what}, protocol ${version}`, ofSubjects(names, run)));
  }
  return comparisons;
}

function countFor({ options }: Bench, { mode, variants }: Pick<Traffic, "mode" | "variants">, perSecond = 0): Amount {
  const wanted = options.count ?? Math.max(perSecond, CONNECTIONS) * options.seconds;
  const isDistinct = mode === "alert" && variants > 1;
  return { count: Math.ceil(isDistinct ? Math.min(wanted, DISTINCT_MAX) : wanted) };
}
