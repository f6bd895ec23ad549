import type { Reply } from "../announcements/model.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { LIMITS, section } from "./blocks.ts";
import { isNamed } from "./delivery-errors.ts";
import { shareSnippet } from "./snippet.ts";
import { createTexts, type Redact } from "./text.ts";
import type { WebApi } from "./web-api.ts";

/** Of a file that cannot be shared; escaped, it still fits as a rule. */
const SHOWN_END_CHARS = 2_000;

/** A message, beneath which something is said. */
export interface Place {
  readonly channel: string;
  readonly ts: string;
}

export interface ThreadDeps {
  api: WebApi;
  redact: Redact;
  apiUrl: string | null;
  log: Log;
}

/** Says something in a message's thread: a file as text where it fits into one, else as a file. Throws a DeliveryError. */
export async function sayInThread(deps: ThreadDeps, place: Place, reply: Reply, signal: AbortSignal): Promise<void> {
  const texts = createTexts(deps.redact);
  const said = texts.prose(reply.text, LIMITS.text);
  if (reply.file === null) return sayParts(deps, place, [said], signal);
  const { name, content } = reply.file;
  const shown = texts.code(content, Number.MAX_SAFE_INTEGER);
  if (content.length <= LIMITS.text && shown.length <= LIMITS.text) return sayParts(deps, place, [said, shown], signal);
  const file = { name: texts.plain(name, 80) || "output.txt", content: texts.file(content) };
  try {
    await shareSnippet(deps.api, { ...place, said, file, apiUrl: deps.apiUrl }, signal);
  } catch (error) {
    if (!isNamed(error, ["missing_scope", "file_uploads_disabled"])) throw error;
    deps.log.warn({ error: errorMessage(error) }, "no file can be put into Slack: its end is shown as text");
    const end = texts.code(file.content.slice(-SHOWN_END_CHARS), LIMITS.text);
    await sayParts(deps, place, [said, "The end of it, since the app may not put files here:", end], signal);
  }
}

async function sayParts(
  { api }: ThreadDeps,
  place: Place,
  parts: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const said = parts.filter((part) => part !== "");
  const text = said.join("\n").slice(0, LIMITS.text) || "(empty)";
  const message = { text, blocks: said.map(section), unfurl_links: false, unfurl_media: false };
  await api.call("chat.postMessage", signal, (client) =>
    client.chat.postMessage({ channel: place.channel, thread_ts: place.ts, ...message }),
  );
}
