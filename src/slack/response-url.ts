import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { LIMITS } from "./blocks.ts";
import { isSlackUrl } from "./hosts.ts";
import { createSlackFetch } from "./slack-fetch.ts";
import { createTexts, type Redact } from "./text.ts";

/** A person waits for it. */
const CALL_LIMIT_MS = 5_000;

/** Says something to the person who pressed, seen by nobody else; false when Slack did not take it. */
export type Whisper = (responseUrl: string | undefined, text: string) => Promise<boolean>;

/** Whispers over the address that came with the callback, when it is Slack's. Never rejects. */
export function createWhisper(deps: { apiUrl: string | null; redact: Redact; log: Log }): Whisper {
  const { apiUrl, log } = deps;
  const texts = createTexts(deps.redact);
  return async (responseUrl, text) => {
    if (responseUrl === undefined || !isSlackUrl(responseUrl, apiUrl)) {
      log.warn("a callback's response_url is not Slack's: nobody was answered");
      return false;
    }
    const said = texts.prose(text, LIMITS.text);
    const body = JSON.stringify({ response_type: "ephemeral", replace_original: false, text: said });
    try {
      const send = createSlackFetch(AbortSignal.timeout(CALL_LIMIT_MS));
      const headers = { "content-type": "application/json" };
      const { status } = await send(responseUrl, { method: "POST", headers, body });
      if (status !== 200) log.warn({ status }, "a person who pressed a button was not answered");
      return status === 200;
    } catch (error) {
      log.warn({ error: errorMessage(error) }, "a person who pressed a button was not answered");
      return false;
    }
  };
}
