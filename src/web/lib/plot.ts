import Plot from "uplot";
import type { Point } from "../data/model.ts";

const HEIGHT_PX = 120;

const DAY_S = 90_000;
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

interface PlotOptions {
  points: readonly Point[];
  from: number;
  to: number;
  step: number;
  /** A moment to mark, Unix seconds. */
  atS: number | null;
  max: number | null;
  say: (value: number) => string;
}

/** Draws a figure's course into the box: its mean as a line within least and most. Gaps stay gaps. */
export function drawPlot(box: HTMLElement, { points, from, to, step, atS, max, say }: PlotOptions): () => void {
  const style = getComputedStyle(box);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const font = `11px ${style.fontFamily}`;
  const times = points.map((point, at) => point?.[0] ?? from + at * step);
  const column = (part: 1 | 2 | 3) => points.map((point) => point?.[part] ?? null);
  const span = to - from;
  // Asked for with each drawing: night falls while people look.
  const stroke = (name: string) => () => color(name);
  const axis = {
    stroke: stroke("--muted"),
    font,
    grid: { stroke: stroke("--line"), width: 1 },
    ticks: { show: false },
  };
  const options: Plot.Options = {
    width: Math.max(120, box.clientWidth),
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: true, range: [from, to] },
      y: { range: (_, __, most) => [0, max ?? Math.max(1, most * 1.1)] },
    },
    axes: [
      {
        ...axis,
        size: 24,
        space: 64,
        values: (_, splits) => splits.map((at) => (span > DAY_S ? DAY : TIME).format(at * 1000)),
      },
      { ...axis, size: 46, values: (_, splits) => splits.map(say) },
    ],
    series: [
      {},
      { stroke: "transparent", points: { show: false } },
      {
        stroke: stroke("--accent"),
        width: 1.6,
        points: { show: true, size: 4, fill: stroke("--accent"), filter: alone },
      },
      { stroke: "transparent", points: { show: false } },
    ],
    bands: [{ series: [3, 1], fill: stroke("--accent-soft") }],
    hooks: { draw: [(plot) => markMoment(plot, atS, color("--critical"))] },
  };
  const plot = new Plot(options, [times, column(1), column(2), column(3)], box);
  const resizing = new ResizeObserver(() => plot.setSize({ width: Math.max(120, box.clientWidth), height: HEIGHT_PX }));
  resizing.observe(box);
  const night = matchMedia("(prefers-color-scheme: dark)");
  const redraw = () => plot.redraw(false);
  night.addEventListener("change", redraw);
  return () => {
    night.removeEventListener("change", redraw);
    resizing.disconnect();
    plot.destroy();
  };
}

/** A minute between gaps is no line: it is drawn as a point. */
function alone({ data }: Plot, seriesAt: number): number[] | null {
  const values = data[seriesAt] ?? [];
  const isThere = (at: number) => values[at] !== null && values[at] !== undefined;
  return [...values.keys()].filter((at) => isThere(at) && !isThere(at - 1) && !isThere(at + 1));
}

function markMoment(plot: Plot, atS: number | null, color: string): void {
  if (atS === null) return;
  const x = Math.round(plot.valToPos(atS, "x", true));
  const { left, top, width, height } = plot.bbox;
  if (x < left || x > left + width) return;
  plot.ctx.save();
  plot.ctx.strokeStyle = color;
  plot.ctx.lineWidth = 2 * devicePixelRatio;
  plot.ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  plot.ctx.beginPath();
  plot.ctx.moveTo(x, top);
  plot.ctx.lineTo(x, top + height);
  plot.ctx.stroke();
  plot.ctx.restore();
}
