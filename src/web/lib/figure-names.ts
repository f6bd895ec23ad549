/** What a figure is called, and how its values are said. */
export interface FigureName {
  readonly title: string;
  readonly say: (value: number) => string;
  /** Percentages have a whole. */
  readonly max: number | null;
}

const percent = (value: number) => `${Math.round(value)} %`;
const plain = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(2));

const NAMES: Partial<Record<string, string>> = {
  cpu_pct: "CPU",
  mem_used_pct: "Memory",
  swap_used_pct: "Swap",
  load1: "Load, 1 min",
  load5: "Load, 5 min",
  load15: "Load, 15 min",
};

/** Of a series of the API: "cpu_pct", "load1", "disk:/var". */
export function figureName(name: string): FigureName {
  const isPercent = name.endsWith("_pct") || name.startsWith("disk:");
  const title = NAMES[name] ?? (name.startsWith("disk:") ? `Disk ${name.slice("disk:".length)}` : name);
  return { title, say: isPercent ? percent : plain, max: isPercent ? 100 : null };
}
