import { Type } from "@sinclair/typebox";
import type { SilenceService } from "../../silences/model.ts";
import * as api from "../schemas.ts";
import { forReader } from "./shown.ts";
import { type Tool, tool } from "./tool.ts";

const LIST = { default: 50, max: 100 } as const;

/** What people muted. */
export function silenceTools(silences: SilenceService): Tool[] {
  return [
    tool({
      name: "list_silences",
      title: "List silences",
      description:
        "What is muted, by whom, why and until when, the newest first: incidents that fit all patterns of a silence are recorded, and nobody is told.",
      role: "viewer",
      effect: "looks",
      takes: {
        ended: Type.Optional(Type.Boolean({ description: "those that are over, too" })),
        limit: Type.Optional(
          Type.Integer({ minimum: 1, maximum: LIST.max, description: `1 to ${LIST.max}; ${LIST.default} if absent` }),
        ),
        cursor: Type.Optional({ ...api.IncidentId, description: "next_cursor of the page before" }),
      },
      async run({ ended = false, limit = LIST.default, cursor }) {
        const page = await silences.list({ ended, limit, cursor });
        return { silences: forReader(page.silences), next_cursor: page.nextCursor ?? null };
      },
    }),
  ];
}
