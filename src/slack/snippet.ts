import { DeliveryError } from "../lib/errors.ts";
import { isSlackUrl } from "./hosts.ts";
import { createSlackFetch } from "./slack-fetch.ts";
import type { WebApi } from "./web-api.ts";

const UPLOAD_LIMIT_MS = 20_000;
/** As much as a reply's file may have, and what redaction adds to it. */
const CONTENT_BYTES_MAX = 96 * 1024;

/** A file to show in a thread, with a sentence above it. */
export interface Snippet {
  readonly channel: string;
  readonly ts: string;
  readonly said: string;
  readonly file: { readonly name: string; readonly content: string };
  readonly apiUrl: string | null;
}

/** Shows a file: asks for an address, sends the bytes there, then shares it. Only the last step makes it seen. */
export async function shareSnippet(api: WebApi, snippet: Snippet, signal: AbortSignal): Promise<void> {
  const { channel, ts, said, file, apiUrl } = snippet;
  const bytes = new TextEncoder().encode(file.content || " ").subarray(0, CONTENT_BYTES_MAX);
  const ticket = await notYetSeen(() =>
    api.call("files.getUploadURLExternal", signal, (client) =>
      client.files.getUploadURLExternal({ filename: file.name, length: bytes.byteLength }),
    ),
  );
  if (!ticket.upload_url || !ticket.file_id || !isSlackUrl(ticket.upload_url, apiUrl)) {
    throw new DeliveryError("never", "files.getUploadURLExternal: no address of Slack in the answer");
  }
  const id = ticket.file_id;
  await notYetSeen(() => upload(ticket.upload_url ?? "", new TextDecoder().decode(bytes), signal));
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

async function upload(url: string, content: string, signal: AbortSignal): Promise<void> {
  const send = createSlackFetch(AbortSignal.any([signal, AbortSignal.timeout(UPLOAD_LIMIT_MS)]));
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
