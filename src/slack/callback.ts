import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";

const Id = Type.String({ minLength: 1, maxLength: 64 });
const Text = Type.String({ maxLength: 4_000 });

/** A pressed button or menu, as far as it is looked at; everything else in it is left alone. */
const BlockActions = Type.Object({
  type: Type.Literal("block_actions"),
  api_app_id: Type.Optional(Id),
  user: Type.Object({ id: Id, team_id: Type.Optional(Id) }),
  team: Type.Object({ id: Id }),
  channel: Type.Object({ id: Id }),
  container: Type.Object({ type: Type.Literal("message"), message_ts: Id, channel_id: Id }),
  message: Type.Optional(Type.Object({ bot_id: Type.Optional(Id), app_id: Type.Optional(Id) })),
  response_url: Type.Optional(Text),
  actions: Type.Array(
    Type.Object({
      action_id: Text,
      block_id: Text,
      value: Type.Optional(Text),
      selected_option: Type.Optional(Type.Union([Type.Null(), Type.Object({ value: Text })])),
    }),
    { minItems: 1, maxItems: 25 },
  ),
});
export type BlockActions = Static<typeof BlockActions>;

/** The payload as a pressed button, without all else that came with it; undefined for whatever else Slack sends. */
export function asBlockActions(payload: unknown): BlockActions | undefined {
  return Value.Check(BlockActions, payload)
    ? (Value.Clean(BlockActions, structuredClone(payload)) as BlockActions)
    : undefined;
}
