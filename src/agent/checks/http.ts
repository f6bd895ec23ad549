import type { HttpCheck } from "../../config/check-model.ts";
import type { Attempt, Finding } from "./model.ts";
import { faultText } from "./words.ts";

/** What is read of an answer. */
const BODY_BYTES_MAX = 64 * 1024;
const REDIRECTS_MAX = 5;
const SHOWN_CHARS_MAX = 500;
const AGENT = "opspilot-agent";

interface Answer {
  readonly url: URL;
  readonly response: Response;
}

/** Asks for the URL, follows redirects, and reads the beginning of the answer. */
export async function probeHttp(check: HttpCheck, attempt: Attempt): Promise<Finding> {
  try {
    const answer = await follow(check, attempt);
    return "response" in answer ? await judge(check, answer, attempt) : answer;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { isWell: false, text: faultText(error) };
  }
}

/** The answer that is no redirect; a redirect whose status is wanted is one. */
async function follow(check: HttpCheck, attempt: Attempt): Promise<Answer | Finding> {
  let url = new URL(check.url);
  for (let hops = 0; hops <= REDIRECTS_MAX; hops++) {
    const response = await ask(url, check, attempt);
    const next = isWanted(check, response) ? null : targetOf(response, url);
    if (next === null) return { url, response };
    await response.body?.cancel();
    if (next === "unfit")
      return { isWell: false, text: `${statusText(response)}, but no place to go on that is a web page` };
    url = next;
  }
  return { isWell: false, text: `more than ${REDIRECTS_MAX} redirects, the last one to ${placeOf(url)}` };
}

function ask(url: URL, check: HttpCheck, { signal, waitsFor }: Attempt): Promise<Response> {
  waitsFor("no answer");
  // Another machine gets nothing that was meant for this one.
  const headers = url.origin === new URL(check.url).origin ? check.headers : [];
  return fetch(url.href, {
    redirect: "manual",
    keepalive: false,
    // Bun's own would go by the environment's variables.
    proxy: check.proxy ?? false,
    tls: { rejectUnauthorized: !check.isInsecure, ...(check.ca === null ? {} : { ca: check.ca }) },
    headers: { "user-agent": AGENT, accept: "*/*", ...Object.fromEntries(headers) },
    signal,
  } as BunFetchRequestInit);
}

function targetOf(response: Response, base: URL): URL | "unfit" | null {
  const location = response.headers.get("location");
  if (location === null || ![301, 302, 303, 307, 308].includes(response.status)) return null;
  const url = URL.parse(location, base.href);
  return url?.protocol === "https:" || url?.protocol === "http:" ? url : "unfit";
}

function isWanted({ statuses }: HttpCheck, { status }: Response): boolean {
  return statuses.some(([from, to]) => status >= from && status <= to);
}

async function judge(check: HttpCheck, { url, response }: Answer, { waitsFor }: Attempt): Promise<Finding> {
  waitsFor(`${statusText(response)}, but the answer did not end`);
  const { text, isWhole } = await readBeginning(response);
  const via = url.href === check.url ? "" : ` from ${placeOf(url)}`;
  const said = `${statusText(response)}${via}`;
  const fail = (why: string): Finding => ({ isWell: false, text: `${said}${why}`, details: excerpt(response, text) });
  if (!isWanted(check, response)) return fail("");
  const where = isWhole ? "" : ` in its first ${BODY_BYTES_MAX / 1024} KiB`;
  if (check.text !== null && !text.includes(check.text))
    return fail(`, but the answer lacks ${JSON.stringify(check.text)}${where}`);
  if (check.unwantedText !== null && text.includes(check.unwantedText))
    return fail(`, but the answer holds ${JSON.stringify(check.unwantedText)}`);
  return { isWell: true, text: said };
}

function statusText({ status, statusText: words }: Response): string {
  return `HTTP ${status}${words === "" ? "" : ` ${words}`}`;
}

/** Without query: a redirect may carry a secret. */
function placeOf({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}

async function readBeginning({ body }: Response): Promise<{ text: string; isWhole: boolean }> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  const reader = body?.getReader();
  while (reader !== undefined && sizeBytes < BODY_BYTES_MAX) {
    const { done, value } = await reader.read();
    if (done) break;
    sizeBytes += value.byteLength;
    chunks.push(value);
  }
  const isWhole = sizeBytes < BODY_BYTES_MAX;
  if (!isWhole) await reader?.cancel();
  return { text: Buffer.concat(chunks).subarray(0, BODY_BYTES_MAX).toString("utf8"), isWhole };
}

/** What a person would see of it. */
function excerpt({ headers }: Response, text: string): string {
  const isText = /^(?:text\/|application\/(?:[a-z.+-]*json|problem|xml))/.test(
    headers.get("content-type") ?? "text/plain",
  );
  const words = text
    .replaceAll(/<(?:style|script)\b[\s\S]*?<\/(?:style|script)>|<[^>]*>/gi, " ")
    .replaceAll(/\s+/g, " ");
  return isText && words.trim() !== "" ? `the answer: ${words.trim().slice(0, SHOWN_CHARS_MAX)}` : "";
}
