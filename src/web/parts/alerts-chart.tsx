import { counted } from "../lib/text.ts";
import { clockWords } from "../lib/time.ts";

const WIDTH = 360;
const HEIGHT = 64;
const MINUTE_MS = 60_000;

interface AlertsChartOptions {
  alerts: { from: string; per_minute: number[] };
  nowMs: number;
  /** Its end is not the present. */
  isPast: boolean;
}

/** Alerts a minute of the last hour, as bars; the same in one sentence for those who do not see them. */
export function AlertsChart({ alerts, nowMs, isPast }: AlertsChartOptions) {
  const { from, per_minute: minutes } = alerts;
  const most = Math.max(1, ...minutes);
  const sum = minutes.reduce((total, one) => total + one, 0);
  const width = WIDTH / Math.max(1, minutes.length);
  const fromMs = Date.parse(from);
  const hour = isPast ? "within this hour" : "within the last hour";
  const words = sum === 0 ? `No alerts ${hour}` : `${counted(sum, "alert")} ${hour}, ${most} a minute at most`;
  return (
    <figure class="alerts-chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={words}>
        <path class="chart-floor" d={`M0 ${HEIGHT - 0.5}H${WIDTH}`} />
        {minutes.map((count, at) => {
          const height = count === 0 ? 0 : Math.max(3, (count / most) * (HEIGHT - 4));
          return (
            <rect key={at} x={at * width + 0.6} y={HEIGHT - height} width={Math.max(1, width - 1.2)} height={height} />
          );
        })}
      </svg>
      <figcaption>
        <span>{minuteWords(fromMs, nowMs)}</span>
        <span>{words}</span>
        <span>{isPast ? minuteWords(fromMs + minutes.length * MINUTE_MS, nowMs) : "now"}</span>
      </figcaption>
    </figure>
  );
}

function minuteWords(ms: number, nowMs: number): string {
  return clockWords(new Date(ms).toISOString(), nowMs).replace(/:\d\d(?=\D*$)/, "");
}
