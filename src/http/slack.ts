import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { ROLE_FIELD } from "../protocol/roles.ts";
import type { SlackReceiver } from "../slack/slack.ts";
import { HttpProblem, tooLarge } from "./problems.ts";
import { answers } from "./schemas.ts";

/** Where Slack's callbacks come in. They prove themselves by a signature: no other rule of the API is for them. */
const SLACK_PATH = "/v1/slack/interactions";

/** A pressed button's callback carries the whole message, percent-encoded. */
const SLACK_BODY_BYTES_MAX = 512 * 1024;

/** Whether a request is such a callback, by its method and path. */
export function isSlackCallback(method: string, path: string): boolean {
  return method === "POST" && path === SLACK_PATH;
}

/** Slack's signed callbacks. The answer comes at once: what came of it is told in Slack. */
export function slackRoutes(callback: NonNullable<SlackReceiver["callback"]>) {
  return new Elysia({ name: "slack", normalize: false }).post(
    SLACK_PATH,
    async ({ request }) => {
      const outcome = await callback({
        body: await bodyOf(request),
        timestamp: request.headers.get("x-slack-request-timestamp"),
        signature: request.headers.get("x-slack-signature"),
      });
      if (outcome.ok) return "";
      throw new HttpProblem(401, outcome.reason, outcome.message);
    },
    {
      parse: "none",
      response: answers(200, Type.String({ contentMediaType: "text/plain" }), 401, 413),
      detail: {
        tags: ["slack"],
        summary: "Slack's callbacks",
        description: "A form with `payload`, signed by Slack (version 0); only with SLACK_SIGNING_SECRET.",
        [ROLE_FIELD]: "everybody" as const,
      },
    },
  );
}

async function bodyOf(request: Request): Promise<string> {
  if (Number(request.headers.get("content-length") ?? 0) > SLACK_BODY_BYTES_MAX) throw tooLarge(SLACK_BODY_BYTES_MAX);
  const text = await request.text();
  if (text.length > SLACK_BODY_BYTES_MAX) throw tooLarge(SLACK_BODY_BYTES_MAX);
  return text;
}
