const DURATION_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_BYTES = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 } as const;

/** "90s", "5m", "30d" in milliseconds; undefined when the text is not a whole number with a unit of ms, s, m, h or d. */
export function parseDurationMs(text: string): number | undefined {
  return parse(text, DURATION_MS);
}

/** "64MiB" in bytes; undefined when the text is not a whole number with a unit of B, KiB, MiB or GiB. */
export function parseSizeBytes(text: string): number | undefined {
  return parse(text, SIZE_BYTES);
}

/** A duration as a person would set it: "90s", "12h", in the largest unit that leaves no rest. */
export function durationText(ms: number): string {
  const units = Object.entries(DURATION_MS).reverse();
  const [unit, unitMs] = units.find(([, size]) => ms % size === 0) ?? ["ms", 1];
  return `${Math.round(ms / unitMs)}${unit}`;
}

/** About how long something lasts, in words: "15 min", "4 h", "3 d". */
export function durationWords(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / DURATION_MS.m));
  if (minutes < 120) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1_440)} d`;
}

/** Always in the same unit: alerts whose texts differ in more than numbers are different problems. */
export function sizeText(bytes: number): string {
  return `${(bytes / SIZE_BYTES.GiB).toFixed(2)} GiB`;
}

function parse(text: string, units: Record<string, number>): number | undefined {
  const match = /^(\d{1,12})\s?([A-Za-z]{1,3})$/.exec(text.trim());
  const unit = match?.[2] === undefined ? undefined : units[match[2]];
  if (match?.[1] === undefined || unit === undefined) return undefined;
  const value = Number(match[1]) * unit;
  return Number.isSafeInteger(value) ? value : undefined;
}
