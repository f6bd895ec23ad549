import type { LogRule } from "../../config/log-rules.ts";
import type { Clock } from "../../lib/clock.ts";
import { stripControls } from "../../lib/controls.ts";
import { keepHead } from "../../protocol/text.ts";
import type { Episodes, Failure } from "./episodes.ts";
import { lastLines } from "./log-excerpt.ts";

/** A line, and where it was found. */
export interface LogLine {
  readonly text: string;
  /** Whether the text may hold what the words find, where that can be told without reading it. */
  mayHold?(words: RegExp): boolean;
  readonly atMs: number;
  /** Names this line among all; asked only for lines that matter. */
  key(): string;
}

/** What is shown of a line. */
type Shown = Pick<LogLine, "text">;

/** Lines of one unit, container or file. */
export interface LogSource {
  /** Nothing is to be waited for where no rule wants the line. */
  take(line: LogLine): Promise<void> | undefined;
}

/** Longer lines are looked at, and shown, up to here. */
export const LINE_CHARS_MAX = 4096;
const CONTEXT_LINES = 50;
/** Of what follows so much is looked at, for the end of a long stack. */
const AFTER_LINES_MAX = 2000;
/** What follows a line often explains it: a stack, a cause. */
const AFTER_MS = 1_000;
/** After this time without another such line, it is over. */
const QUIET_MS = 600_000;
const SHOWN_BYTES_MAX = 400;
const SOURCE_BYTES_MAX = 255;

interface Pending {
  readonly failure: Omit<Failure, "logs" | "times">;
  readonly before: readonly Shown[];
  /** The line itself, and what came since. */
  readonly since: Shown[];
  readonly dueMs: number;
  times: number;
}

/** Makes alerts of lines that match: the first of a kind with what stands around it, the others are counted. */
export function createLogAlerts({ episodes, clock }: { episodes: Episodes; clock: Clock }) {
  const pending = new Map<string, Pending>();
  const seen = new Map<string, number>(episodes.sources().map((source) => [source, clock.monotonicMs()]));

  function begin(failure: Pending["failure"], recent: readonly Shown[]): void {
    const dueMs = clock.monotonicMs() + AFTER_MS;
    const [before, since] = [recent.slice(0, -1), recent.slice(-1)];
    pending.set(failure.source, { failure, before, since, dueMs, times: 1 });
  }

  async function match(rule: LogRule, target: string, line: LogLine, recent: readonly Shown[]): Promise<void> {
    const source = keepHead(`${target} ${rule.name}`, SOURCE_BYTES_MAX);
    seen.set(source, clock.monotonicMs());
    const waiting = pending.get(source);
    if (waiting) return void waiting.times++;
    const what = `${target} matches ${rule.name}: ${keepHead(line.text.trim(), SHOWN_BYTES_MAX)}`;
    const failure = { source, what, atMs: line.atMs, severity: rule.severity };
    if (episodes.has(source)) await episodes.fail({ ...failure, logs: async () => recent.map(textOf).join("\n") });
    else begin({ ...failure, key: line.key() }, recent);
  }

  async function tellDue(isEnd: boolean): Promise<void> {
    for (const [source, { failure, before, since, dueMs, times }] of pending) {
      if (!isEnd && clock.monotonicMs() < dueMs) continue;
      pending.delete(source);
      const lines = [...before.map(textOf), ...lastLines(since.map(textOf), CONTEXT_LINES)];
      await episodes.fail({ ...failure, times, logs: async () => lines.join("\n") });
    }
  }

  return {
    /** For the lines of a place that these rules are about. */
    sourceOf(target: string, rules: readonly LogRule[]): LogSource {
      const recent: Shown[] = [];
      const words = wordsOf(rules);
      const isOwn = (source: string) => source.startsWith(`${target} `);
      return {
        take(line) {
          const shown = line.mayHold ? line : { text: textOf(line) };
          recent.push(shown);
          if (recent.length > CONTEXT_LINES) recent.shift();
          for (const [source, waiting] of pending)
            if (isOwn(source) && waiting.since.length < AFTER_LINES_MAX) waiting.since.push(shown);
          const isWanted = words === undefined || (line.mayHold?.(words) ?? words.test(shown.text));
          return isWanted ? matchEach(line) : undefined;
        },
      };

      async function matchEach(line: LogLine): Promise<void> {
        const text = textOf(line);
        for (const rule of rules) {
          const isMatch = rule.patterns.some((one) => one.test(text)) && !rule.except.some((one) => one.test(text));
          if (isMatch) await match(rule, target, line, recent);
        }
      }
    },
    /** While something waits for the lines after it, no place may be noted as read. */
    isWaiting: (): boolean => pending.size > 0,
    async tick(): Promise<void> {
      await tellDue(false);
      await episodes.tick();
      for (const [source, atMs] of seen) {
        if (clock.monotonicMs() - atMs < QUIET_MS) continue;
        seen.delete(source);
        await episodes.recover(source, "has not come again for 10 minutes");
      }
    },
    /** Tells what waits, at the end. */
    flush: (): Promise<void> => tellDue(true),
  };
}

/** As it is looked at and shown. */
function textOf(line: Shown): string {
  return stripControls(line.text.slice(0, LINE_CHARS_MAX));
}

/** What is left out where a line is shown may part a word that it is searched for as it came (lib/controls.ts). */
const LEFT_OUT = "[\\u007f-\\u009f]";

/** Finds every line that one of the rules may want: by the words that each of their patterns needs. Undefined where one needs none. */
function wordsOf(rules: readonly LogRule[]): RegExp | undefined {
  const patterns = rules.flatMap(({ patterns }) => patterns);
  const words = patterns.flatMap(({ words = [] }) => words);
  if (patterns.some((pattern) => pattern.words === undefined)) return undefined;
  return new RegExp(
    [...words.map((word) => RegExp.escape(word)), LEFT_OUT].join("|"),
    patterns.some(({ ignoresCase }) => ignoresCase) ? "iu" : "u",
  );
}

export type LogAlerts = ReturnType<typeof createLogAlerts>;
