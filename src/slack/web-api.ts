import type { WebClient } from "@slack/web-api";
import { webApiFailure } from "./delivery-errors.ts";
import { createSilentSdkLog } from "./sdk-log.ts";
import { createSlackFetch } from "./slack-fetch.ts";

/** One call may take so long; Slack answers in a tenth of a second as a rule. */
const CALL_LIMIT_MS = 10_000;

export interface WebApiOptions {
  token: string;
  /** Without a slash at its end; null: Slack's own. */
  apiUrl: string | null;
}

/** Slack's Web API: one call at a time of what is given, ended by the signal. */
export interface WebApi {
  /** Throws a DeliveryError. */
  call<T>(method: string, signal: AbortSignal, use: (client: WebClient) => Promise<T>): Promise<T>;
}

/**
 * The SDK is loaded with the first call, so that who has no Slack does not pay for it. It does not retry by itself: our
 * rows do, and they survive a restart.
 */
export function createWebApi({ token, apiUrl }: WebApiOptions): WebApi {
  return {
    async call(method, signal, use) {
      try {
        const sdk = await import("@slack/web-api");
        const client = new sdk.WebClient(token, {
          ...(apiUrl === null ? {} : { slackApiUrl: `${apiUrl}/` }),
          allowAbsoluteUrls: false,
          fetch: createSlackFetch(signal),
          logger: createSilentSdkLog(),
          rejectRateLimitedCalls: true,
          retryConfig: { retries: 0 },
          timeout: CALL_LIMIT_MS,
        });
        return await use(client);
      } catch (error) {
        throw webApiFailure(method, error);
      }
    },
  };
}
