import { splitRawError } from "../../../protocol/raw-error.ts";
import type { Incident } from "../../data/model.ts";
import { counted, sizeWords, visibleText } from "../../lib/text.ts";
import { secondsWords } from "../../lib/time.ts";
import { CopyButton } from "../../parts/copy.tsx";
import { lastDecision } from "./outcome.tsx";
import type { Story } from "./use-story.ts";

/** Around the decisive line. */
const CONTEXT_LINES = 3;
/** A longer line is cut on the screen; what is copied is whole. */
const LINE_CHARS_MAX = 2_000;
/** At the end, where no line decides. */
const TAIL_LINES = 12;

/** What the host said as it broke: the decisive lines first, the rest folded. */
export function Log({ incident }: { incident: Incident }) {
  const { raw_error: rawError, message_chars: messageChars, analysis } = incident;
  const { message, logs } = splitRawError({ rawError, messageChars });
  const lines = logs.split("\n");
  const decisive = analysis?.decisive?.trim() ?? "";
  const at = decisive === "" ? -1 : lines.findLastIndex((line) => line.includes(decisive));
  const from = at < 0 ? Math.max(0, lines.length - TAIL_LINES) : Math.max(0, at - CONTEXT_LINES);
  const to = at < 0 ? lines.length : at + CONTEXT_LINES + 1;
  return (
    <section class="section" aria-labelledby="log-title">
      <div class="section-head">
        <h2 id="log-title">Log</h2>
        <CopyButton text={rawError} label="Copy all" />
      </div>
      <p class="log-message">{visibleText(cut(message))}</p>
      {logs === "" ? (
        <p class="muted">The host sent no log with it.</p>
      ) : (
        <>
          <LogLines lines={lines.slice(from, to)} decisiveAt={at - from} label="The decisive lines" />
          {to - from < lines.length && (
            <details class="rest">
              <summary>
                All {counted(lines.length, "line")}, {sizeWords(incident.raw_error_bytes)}
              </summary>
              <LogLines lines={lines} decisiveAt={at} label="The whole log" />
            </details>
          )}
        </>
      )}
    </section>
  );
}

/** What the host answered when somebody asked for its log just now. */
export function FetchedLog({ story, incident }: { story: Story; incident: Incident }) {
  const decision = lastDecision(incident, "logs");
  const command = story.commands.value.get(decision?.command_id ?? "");
  if (decision === undefined) return null;
  const isWaiting = decision.ended_at === null;
  const output = command?.output ?? "";
  return (
    <section class="section" aria-labelledby="fetched-title">
      <div class="section-head">
        <h2 id="fetched-title">Fetched from the host</h2>
        {output !== "" && <CopyButton text={output} label="Copy all" />}
      </div>
      <p role="status" class="muted">
        {isWaiting ? "Waiting for the host…" : (decision.outcome ?? decision.state)}
        {!isWaiting && command?.duration_ms ? `, in ${secondsWords(command.duration_ms)}` : ""}
      </p>
      {output !== "" && <LogLines lines={output.trimEnd().split("\n")} decisiveAt={-1} label="The log fetched" />}
      {command?.error && <p class="warning-line">{visibleText(command.error)}</p>}
    </section>
  );
}

function LogLines({ lines, decisiveAt, label }: { lines: readonly string[]; decisiveAt: number; label: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section class="log" tabIndex={0} aria-label={label}>
      <pre>
        {lines.map((line, at) => (
          <span key={at} class={at === decisiveAt ? "log-line is-decisive" : "log-line"}>
            {visibleText(cut(line))}
            {"\n"}
          </span>
        ))}
      </pre>
    </section>
  );
}

function cut(line: string): string {
  if (line.length <= LINE_CHARS_MAX) return line;
  return `${line.slice(0, LINE_CHARS_MAX)}… (${sizeWords(line.length - LINE_CHARS_MAX)} more)`;
}
