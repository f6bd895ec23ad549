import type { Reply } from "../announcements/model.ts";
import type { ProxyOf } from "../lib/bounded-fetch.ts";
import { DeliveryError, errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { LIMITS, NOTHING_UNFURLED, section } from "./blocks.ts";
import { createTexts, type Redact } from "./text.ts";
import { createSlackFetch, isNamed, isSlackUrl, type WebApi } from "./web-api.ts";

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
  /** Where a file may be sent to, beside Slack's hosts. */
  apiUrl: string | null;
  log: Log;
}

/**
 * Says something in a message's thread: a file as text where it fits into one, else as a file. Resolves with the `ts` of what was
 * said, where it is one message that can be edited. Throws a DeliveryError.
 */
export async function sayInThread(
  deps: ThreadDeps,
  place: Place,
  reply: Reply,
  signal: AbortSignal,
): Promise<string | undefined> {
  const texts = createTexts(deps.redact);
  const said = texts.prose(reply.text, LIMITS.text);
  if (reply.file === null) return sayParts(deps, place, [said], signal, reply.isLoud);
  const { name, content } = reply.file;
  const shown = texts.code(content, Number.MAX_SAFE_INTEGER);
  if (content.length <= LIMITS.text && shown.length <= LIMITS.text) return sayParts(deps, place, [said, shown], signal);
  const file = { name: texts.plain(name, 80) || "output.txt", content: texts.file(content) };
  try {
    await shareSnippet(deps, { ...place, said, file }, signal);
  } catch (error) {
    if (!isNamed(error, ["missing_scope", "file_uploads_disabled"])) throw error;
    deps.log.warn({ error: errorMessage(error) }, "no file can be put into Slack: its end is shown as text");
    const end = texts.code(file.content.slice(-SHOWN_END_CHARS), LIMITS.text);
    await sayParts(deps, place, [said, "The end of it, since the app may not put files here:", end], signal);
  }
  return undefined;
}

/** Shows another text in what was said; `place` is the reply itself. Throws a DeliveryError. */
export async function editInThread(deps: ThreadDeps, place: Place, reply: Reply, signal: AbortSignal): Promise<void> {
  const message = { ...place, ...textOf([createTexts(deps.redact).prose(reply.text, LIMITS.text)]) };
  await deps.api.call("chat.update", signal, (client) => client.chat.update(message));
}

async function sayParts(
  { api }: ThreadDeps,
  { channel, ts }: Place,
  parts: readonly string[],
  signal: AbortSignal,
  isLoud = false,
) {
  const where = isLoud ? { reply_broadcast: true as const } : {};
  const message = { channel, thread_ts: ts, ...where, ...textOf(parts), ...NOTHING_UNFURLED };
  const answer = await api.call("chat.postMessage", signal, (client) => client.chat.postMessage(message));
  return answer.ts;
}

function textOf(parts: readonly string[]) {
  const said = parts.filter((part) => part !== "");
  return { text: said.join("\n").slice(0, LIMITS.text) || "(empty)", blocks: said.map(section) };
}

const UPLOAD_LIMIT_MS = 20_000;
/** As much as a reply's file may have, and what redaction adds to it. */
const CONTENT_BYTES_MAX = 96 * 1024;

/** A file to show in a thread, with a sentence above it. */
type Snippet = Place & { readonly said: string; readonly file: NonNullable<Reply["file"]> };

/** Shows a file: asks for an address, sends the bytes there, then shares it. Only the last step makes it seen. */
async function shareSnippet({ api, apiUrl }: ThreadDeps, snippet: Snippet, signal: AbortSignal): Promise<void> {
  const { channel, ts, said, file } = snippet;
  const bytes = new TextEncoder().encode(file.content || " ").subarray(0, CONTENT_BYTES_MAX);
  const wanted = { filename: file.name, length: bytes.byteLength };
  const { upload_url: url, file_id: id } = await notYetSeen(() =>
    api.call("files.getUploadURLExternal", signal, (client) => client.files.getUploadURLExternal(wanted)),
  );
  if (!url || !id || !isSlackUrl(url, apiUrl)) {
    throw new DeliveryError("never", "files.getUploadURLExternal: no address of Slack in the answer");
  }
  await notYetSeen(() => upload(api.proxyOf, url, new TextDecoder().decode(bytes), signal));
  await api.call("files.completeUploadExternal", signal, (client) =>
    client.files.completeUploadExternal({
      files: [{ id, title: file.name }],
      channel_id: channel,
      thread_ts: ts,
      ...(said === "" ? {} : { initial_comment: said }),
    }),
  );
}

/** A file that is not shared is seen by nobody: to begin anew is safe. */
async function notYetSeen<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof DeliveryError && error.reason === "unknown") throw new DeliveryError("later", error.message);
    throw error;
  }
}

async function upload(proxyOf: ProxyOf, url: string, content: string, signal: AbortSignal): Promise<void> {
  const send = createSlackFetch(proxyOf, AbortSignal.any([signal, AbortSignal.timeout(UPLOAD_LIMIT_MS)]));
  let status = 0;
  try {
    const headers = { "content-type": "application/octet-stream" };
    status = (await send(url, { method: "POST", headers, body: content })).status;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new DeliveryError("later", `a file's upload: ${error.name}`);
  }
  if (status !== 200) throw new DeliveryError("later", `a file's upload: HTTP status ${status}`);
}
