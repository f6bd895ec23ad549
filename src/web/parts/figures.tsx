import type { Figures } from "../data/model.ts";

interface Bar {
  name: string;
  percent: number;
  words: string;
}

/** From here a bar says by its shape and word, too, that it is nearly full. */
const HIGH_PERCENT = 90;

/** A host's last figures as small bars. */
export function FigureBars({ figures }: { figures: Figures | undefined }) {
  const bars = barsOf(figures ?? {});
  if (bars.length === 0) return <p class="muted figures-none">no figures yet</p>;
  return (
    <ul class="figures">
      {bars.map(({ name, percent, words }) => (
        <li key={name} class={percent >= HIGH_PERCENT ? "figure is-high" : "figure"}>
          <span class="figure-name">{name}</span>
          <svg class="figure-bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
            <rect class="figure-track" width="100" height="8" rx="2" />
            <rect class="figure-fill" width={Math.max(1, Math.min(100, percent))} height="8" rx="2" />
          </svg>
          <span class="figure-words">{words}</span>
        </li>
      ))}
    </ul>
  );
}

function barsOf({ cpu_pct, mem_used_bytes: used, mem_total_bytes: total, disks = [] }: Figures): Bar[] {
  const fullest = disks
    .map(({ mount, used_bytes, total_bytes }) => ({ mount, percent: share(used_bytes, total_bytes) }))
    .toSorted((a, b) => b.percent - a.percent)[0];
  return [
    ...(cpu_pct === undefined ? [] : [bar("CPU", cpu_pct)]),
    ...(used === undefined || !total ? [] : [bar("Mem", share(used, total))]),
    ...(fullest === undefined ? [] : [bar(`Disk ${fullest.mount}`, fullest.percent)]),
  ];
}

const share = (used: number, total: number) => (total > 0 ? (used / total) * 100 : 0);
const bar = (name: string, percent: number): Bar => ({ name, percent, words: `${Math.round(percent)} %` });
