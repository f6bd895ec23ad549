import type { CrowdOutcome } from "./crowds.ts";
import type { FuzzOutcome } from "./fuzz.ts";
import type { FaultOutcome } from "./process-faults.ts";

/** What came of each part; a part that was not asked for is left out. */
export interface SoakOutcome {
  readonly seed: number;
  readonly faults?: FaultOutcome;
  readonly fuzz?: FuzzOutcome;
  readonly crowds?: CrowdOutcome;
}

type Row = readonly [what: string, value: string];

/** Of what is wrong so much is shown; all of it is in the file. */
const SHOWN_MAX = 20;

/** The summary for a terminal, and whether nothing was lost, doubled or otherwise wrong. */
export function tableOf({ seed, faults, fuzz, crowds }: SoakOutcome): { text: string; isAsPromised: boolean } {
  const rows: Row[] = [
    ["seed", String(seed)],
    ...(faults ? faultRows(faults) : []),
    ...(fuzz ? fuzzRows(fuzz) : []),
    ...(crowds ? crowdRows(crowds) : []),
    ["lost", String(faults?.lost.length ?? 0)],
    ["doubled", String(faults?.doubled.length ?? 0)],
  ];
  const wrong = [faults?.lost, faults?.doubled, faults?.wrong, fuzz?.wrong, crowds?.wrong].flatMap((one) => one ?? []);
  const width = Math.max(...rows.map(([what]) => what.length));
  const lines = rows.map(([what, value]) => `${what.padEnd(width)}  ${value}`.trimEnd());
  return {
    text: [...lines, ...wrong.slice(0, SHOWN_MAX).map((one) => `wrong: ${one}`)].join("\n"),
    isAsPromised: wrong.length === 0,
  };
}

function faultRows(outcome: FaultOutcome): Row[] {
  const { kills, seconds, serverStarts, alertsStored, incidents, toldAlone, toldInStorms } = outcome;
  const perSecond = Math.round(alertsStored / Math.max(1, seconds));
  return [
    [
      "faults",
      `${kills.server} kills of the server, ${kills.database} of PostgreSQL, ${kills.agents} of agents in ${seconds} s; ${serverStarts} starts`,
    ],
    [
      "load held",
      `${alertsStored} alerts stored (${perSecond}/s over all faults), ${outcome.alertsAcknowledged} acknowledged`,
    ],
    ["announced", `${incidents} incidents: ${toldAlone} by a message of their own, ${toldInStorms} in a storm's`],
  ];
}

function fuzzRows({ decoded, requests, routes, frames, memoryMibBefore, memoryMibAfter }: FuzzOutcome): Row[] {
  return [
    [
      "bad inputs tried",
      `${decoded} by the decoder, ${requests} requests on ${routes} routes, ${frames} frames on sockets`,
    ],
    ["memory of the server", `${memoryMibBefore} MiB before, ${memoryMibAfter} MiB after`],
  ];
}

function crowdRows({ rows }: CrowdOutcome): Row[] {
  return rows.map(({ what, tried, outcome, p50Ms, p99Ms, memoryMib }) => [
    what,
    `${tried > 0 ? `${tried}: ` : ""}${outcome === "" ? "" : `${outcome}; `}an agent's ack ${p50Ms.toFixed(0)} ms (99 of 100: ${p99Ms.toFixed(0)} ms), ${memoryMib} MiB`,
  ]);
}
