import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { createGuard, type Guard } from "../../src/analysis/investigation/guard.ts";
import type { Carried } from "../../src/analysis/investigation/loop.ts";
import type { Evidence } from "../../src/analysis/model.ts";

/**
 * What a host answered, once and for all: each answer to a tool, with the arguments that it was given. An argument that is not
 * recorded may be anything.
 */
const RecordedHostSchema = Type.Object({
  /** As in the agent's heartbeat; all that looks when it is not said. */
  allow: Type.Optional(Type.Array(Type.String())),
  answers: Type.Array(
    Type.Object({
      tool: Type.String(),
      arguments: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
      output: Type.String(),
    }),
  ),
});
export type RecordedHost = Static<typeof RecordedHostSchema>;

/** The recorded host of a labelled incident; one that knows nothing where none is recorded. Throws on another shape. */
export function recordedHostOf(host: unknown): RecordedHost {
  return host === undefined ? { answers: [] } : Value.Parse(RecordedHostSchema, host);
}

/** Decides as the server does: the incident's own unit or container may be named, and what the host lists. */
export function guardOf({ allow }: RecordedHost, { type, source }: Evidence): Guard {
  const listed = {
    units: type === "docker" ? [] : [source],
    containers: type === "docker" ? [source] : [],
  };
  return createGuard({ listed, allow });
}

/** The recorded answer to a call. */
export function answerOf({ answers }: RecordedHost, tool: string, given: Readonly<Record<string, unknown>>): Carried {
  const found = answers.find(
    (one) =>
      one.tool === tool && Object.entries(one.arguments ?? {}).every(([name, value]) => isSame(given[name], value)),
  );
  return { ok: true, text: found?.output ?? "" };
}

/** `nginx` and `nginx.service` are one. */
function isSame(one: unknown, other: unknown): boolean {
  const plain = (value: unknown) => (typeof value === "string" ? value.replace(/\.service$/, "") : value);
  return plain(one) === plain(other);
}
