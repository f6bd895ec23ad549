import dashboard from "./monitoring/grafana.json" with { type: "text" };
import rules from "./monitoring/rules.yml" with { type: "text" };

/** For whom something is printed: Grafana a dashboard to import, Prometheus a file of alert rules. */
export const MONITORING = { grafana: dashboard as unknown as string, rules } as const;

/** Prints it. */
export function printMonitoring(what: keyof typeof MONITORING): number {
  process.stdout.write(MONITORING[what]);
  return 0;
}
