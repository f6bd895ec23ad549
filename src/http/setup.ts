import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { SETUP_STATES, type SetupService } from "../doctor/setup.ts";
import * as api from "./schemas.ts";

/** A part of the server, and whether it is set up. */
export type SetupPart = Static<typeof SetupPartSchema>;
const SetupPartSchema = api.resource("SetupPart", {
  part: Type.String(),
  state: api.oneOf(SETUP_STATES),
  text: Type.String(),
  todo: api.nullable(Type.String({ description: "what to do about it" })),
});

/** What is set up and what is missing, as `opspilot doctor` says it. */
export function setupRoutes(setup: SetupService) {
  const { viewer } = api.describing("system");
  return new Elysia({ name: "setup", prefix: "/v1", normalize: false }).get(
    "/setup",
    ({ query }) => setup.look({ probe: query.probe === "true" }),
    viewer(
      "What is set up and what is missing; with probe=true Slack, the webhook's host, the model and the provider of sign-ins are called, too",
      { query: api.input({ probe: Type.Optional(api.oneOf(["true", "false"])) }) },
      api.answers(200, Type.Array(SetupPartSchema)),
    ),
  );
}
