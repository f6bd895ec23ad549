/** The dialog that asks what it was, where an explanation is wrong or there is none. */
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Feedback, GivenFeedback } from "../feedback/model.ts";
import { DeliveryError } from "../lib/errors.ts";
import { jsonOf } from "../lib/json.ts";
import { VERDICTS } from "../protocol/feedback.ts";
import { plainText } from "./blocks.ts";
import type { WebApi } from "./web-api.ts";

/** Of Slack's 3,000. */
const TEXT_CHARS_MAX = 2_000;
const DIALOG = "opspilot_feedback";

const Text = Type.String({ maxLength: 4_000 });
const Id = Type.String({ minLength: 1, maxLength: 64 });
const TextInput = Type.Object({ text: Type.Object({ value: Type.Optional(Type.Union([Type.Null(), Text])) }) });
const ChoiceInput = Type.Object({
  choice: Type.Object({ selected_option: Type.Optional(Type.Union([Type.Null(), Type.Object({ value: Text })])) }),
});

/** A dialog that was sent, as far as it is looked at; everything else in it is left alone. */
export const DialogSubmission = Type.Object({
  type: Type.Literal("view_submission"),
  user: Type.Object({ id: Id, team_id: Type.Optional(Id) }),
  team: Type.Object({ id: Id }),
  view: Type.Object({
    callback_id: Type.Literal(DIALOG),
    private_metadata: Text,
    state: Type.Object({
      values: Type.Object({ cause: TextInput, category: Type.Optional(ChoiceInput), fix: Type.Optional(TextInput) }),
    }),
  }),
});
export type DialogSubmission = Static<typeof DialogSubmission>;

/** What a dialog carries with it: Slack gives it back as it was, and shows it to nobody. */
const Origin = Type.Object({
  incidentId: Type.Integer({ minimum: 1 }),
  verdict: Type.Union(VERDICTS.map((verdict) => Type.Literal(verdict))),
  channelId: Id,
  messageTs: Id,
  responseUrl: Type.Optional(Text),
});
export type DialogOrigin = Static<typeof Origin>;

/** Whether the dialog carries what we gave it. */
export function hasOrigin({ view }: DialogSubmission): boolean {
  return Value.Check(Origin, jsonOf(view.private_metadata));
}

/** Where a dialog that `hasOrigin` was opened, and about what. */
export function originOf({ view }: DialogSubmission): DialogOrigin {
  return Value.Parse(Origin, jsonOf(view.private_metadata));
}

/** The dialog as `views.open` takes it. `categories` are the kinds of causes to choose from. */
function feedbackDialog(origin: DialogOrigin, categories: readonly string[]) {
  const isWrong = origin.verdict === "wrong";
  return {
    type: "modal" as const,
    callback_id: DIALOG,
    private_metadata: JSON.stringify(origin),
    title: plainText("What was it?"),
    submit: plainText("Keep it"),
    close: plainText("Cancel"),
    blocks: [
      textInput("cause", isWrong ? "The cause, as far as you know it" : "The cause", isWrong),
      {
        type: "input" as const,
        block_id: "category",
        optional: true,
        label: plainText("Its kind"),
        element: {
          type: "static_select" as const,
          action_id: "choice",
          options: categories.map((value) => ({ text: plainText(value.replaceAll("_", " ")), value })),
        },
      },
      textInput("fix", "What helped", true),
    ],
  };
}

/** Opens the dialog; why it could not be, where it could not. */
export type OpenDialog = (triggerId: string, origin: DialogOrigin, signal: AbortSignal) => Promise<string | undefined>;

/** Opens it by the Web API. A person waits: it is tried once. */
export function createOpenDialog(api: WebApi, categories: readonly string[]): OpenDialog {
  return async (triggerId, origin, signal) => {
    const view = feedbackDialog(origin, categories);
    try {
      await api.call("views.open", signal, (client) => client.views.open({ trigger_id: triggerId, view }));
      return undefined;
    } catch (error) {
      if (error instanceof DeliveryError) return error.message;
      throw error;
    }
  };
}

function textInput(name: string, label: string, optional: boolean) {
  const element = { type: "plain_text_input" as const, action_id: "text", multiline: true, max_length: TEXT_CHARS_MAX };
  return { type: "input" as const, block_id: name, optional, label: plainText(label), element };
}

/** What the person wrote and chose. */
export function saidIn({ view }: DialogSubmission): Pick<GivenFeedback, "cause" | "category" | "fix"> {
  const { cause, category, fix } = view.state.values;
  return {
    cause: cause.text.value?.trim() || undefined,
    category: (category?.choice.selected_option?.value as Feedback["category"]) ?? undefined,
    fix: fix?.text.value?.trim() || undefined,
  };
}
