import type { FigureTable } from "./combine-store.ts";
import {
  type FigurePoint,
  type FigureRange,
  type FigureService,
  type FigureStepS,
  type Figures,
  type FiguresOutcome,
  POINTS_MAX,
} from "./model.ts";
import { rounded } from "./samples.ts";
import { AROUND_MINUTES, type FigureStore, type StoredFigures } from "./store.ts";

const RANGE_S = 3 * 3_600;

/** For so long figures of a step are kept, in seconds: what is older is asked of the next. */
const KEPT_S: Readonly<Record<FigureStepS, number>> = {
  60: 3 * 3_600,
  300: 24 * 3_600,
  3600: Number.POSITIVE_INFINITY,
};

const TABLES: Readonly<Record<Exclude<FigureStepS, 60>, FigureTable>> = { 300: "figures_5m", 3600: "figures_1h" };

/** Shows what is stored. */
export function createFigureReader(store: Omit<FigureStore, "write">): FigureService {
  return {
    async ofAgent(agentId, range) {
      const progress = await store.progress();
      const planned = planOf(range, progress.nowMinute);
      if (!planned.ok) return planned;
      const { stepS, fromS, toS } = planned;
      const minutes = { agentId, fromMinute: fromS / 60, toMinute: toS / 60 };
      const rows =
        stepS === 60
          ? await store.readMinutes(minutes)
          : await store.readSteps(minutes, { table: TABLES[stepS], minutes: stepS / 60, ...progress });
      return { ok: true, figures: figuresOf(planned, rows) };
    },
    async ofIncident(incidentId) {
      const window = await store.findWindow(incidentId);
      if (!window) return undefined;
      const fromMinute = window.minute - AROUND_MINUTES;
      const toMinute = window.minute + AROUND_MINUTES + 1;
      const rows = await store.readKept({ agentId: window.agentId, fromMinute, toMinute });
      return figuresOf({ stepS: 60, fromS: fromMinute * 60, toS: toMinute * 60 }, rows);
    },
  };
}

interface Plan {
  stepS: FigureStepS;
  /** On a step, and `toS` the end of one. */
  fromS: number;
  toS: number;
}

/** What to read for a range, up to the end of the present minute. */
export function planOf(
  { fromS, toS, stepS }: FigureRange,
  nowMinute: number,
): ({ ok: true } & Plan) | Extract<FiguresOutcome, { ok: false }> {
  const endS = Math.min(toS ?? Number.POSITIVE_INFINITY, (nowMinute + 1) * 60);
  const beginS = fromS ?? endS - RANGE_S;
  if (beginS >= endS) return { ok: false, field: "from", message: "must be before `to`, and before now" };
  const step = stepS ?? finestOf(nowMinute * 60 - beginS);
  const plan = { stepS: step, fromS: beginS - (beginS % step), toS: Math.ceil(endS / step) * step };
  if ((plan.toS - plan.fromS) / step <= POINTS_MAX) return { ok: true, ...plan };
  const message = `at most ${POINTS_MAX} steps of ${step} s in one answer`;
  return { ok: false, field: stepS === undefined ? "from" : "step", message };
}

function finestOf(ageS: number): FigureStepS {
  return ageS <= KEPT_S[60] ? 60 : ageS <= KEPT_S[300] ? 300 : 3600;
}

function figuresOf({ stepS, fromS, toS }: Plan, rows: readonly StoredFigures[]): Figures {
  const steps = (toS - fromS) / stepS;
  const series: Figures["series"] = {};
  for (const { minute, names, stats } of rows) {
    const t = minute * 60;
    for (const [at, name] of names.entries()) {
      const [min = 0, mean = 0, max = 0] = stats[at] ?? [];
      const point: FigurePoint = [t, rounded(min), rounded(mean), rounded(max)];
      series[name] ??= new Array(steps).fill(null);
      (series[name] as (FigurePoint | null)[])[(t - fromS) / stepS] = point;
    }
  }
  return { step_s: stepS, from: fromS, to: toS, series };
}
