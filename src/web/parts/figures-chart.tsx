import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../app-context.ts";
import type { Point, Series } from "../data/model.ts";
import { figureName } from "../lib/figure-names.ts";

interface FiguresChartOptions {
  name: string;
  series: Series;
  /** A moment to mark, Unix seconds. */
  atS?: number | null;
}

/** One figure over time. The chart's own code is loaded once one comes into sight. */
export function FiguresChart({ name, series, atS = null }: FiguresChartOptions) {
  const { notices } = useApp();
  const box = useRef<HTMLDivElement>(null);
  const { title, say, max } = figureName(name);
  const points = series.series[name] ?? [];

  useEffect(() => {
    const place = box.current;
    if (place === null) return;
    const ends: (() => void)[] = [];
    let isOver = false;
    const draw = async () => {
      const { drawPlot } = await import("../lib/plot.ts");
      if (isOver) return;
      const { from, to, step_s: step } = series;
      ends.push(drawPlot(place, { points, from, to, step, atS, max, say }));
    };
    const seeing = new IntersectionObserver(([entry]) => {
      if (!entry?.isIntersecting) return;
      seeing.disconnect();
      draw().catch(() => notices.warn("The charts could not be loaded. Load the page anew."));
    });
    seeing.observe(place);
    return () => {
      isOver = true;
      seeing.disconnect();
      for (const end of ends) end();
    };
  }, [series, name, atS]);

  return (
    <figure class="chart">
      <figcaption>
        <b>{title}</b> <span class="muted">{summaryOf(points, say)}</span>
      </figcaption>
      <div class="chart-box" ref={box} aria-hidden="true" />
    </figure>
  );
}

function summaryOf(points: readonly Point[], say: (value: number) => string): string {
  const known = points.filter((point) => point !== null);
  const last = known.at(-1);
  if (last === undefined) return "nothing heard";
  const most = Math.max(...known.map((point) => point[3]));
  return `${say(last[2])} at the end, ${say(most)} at most`;
}
