import { alertmanager } from "./alertmanager.ts";
import { commands } from "./commands.ts";
import { connections } from "./connections.ts";
import { nodes } from "./nodes.ts";
import type { Comparison } from "./report.ts";
import type { Bench } from "./runs.ts";
import { alerts, grouped, heartbeats, latency } from "./traffic.ts";

/** What is measured, in this order. */
export const SCENARIOS = {
  alerts,
  grouped,
  heartbeats,
  latency,
  commands,
  connections,
  nodes,
  alertmanager,
} as const satisfies Record<string, (bench: Bench) => Promise<Comparison[]>>;
export type ScenarioName = keyof typeof SCENARIOS;
