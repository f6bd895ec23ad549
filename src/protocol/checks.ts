import type { TSchema } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler, ValueErrorType } from "@sinclair/typebox/compiler";
import { Envelope } from "./frames.ts";
import { AlertPayload, HeartbeatPayload, ResultPayload } from "./payloads.ts";

/** The envelope's schema, compiled once. */
export const envelopeCheck = TypeCompiler.Compile(Envelope);
/** The heartbeat's. */
export const heartbeatCheck = TypeCompiler.Compile(HeartbeatPayload);
/** The alert's. */
export const alertCheck = TypeCompiler.Compile(AlertPayload);
/** The result's. */
export const resultCheck = TypeCompiler.Compile(ResultPayload);

/** What a value breaks first, with the field's name in front: "exit_code: Expected integer". It never quotes the value. */
export function describeFault(check: TypeCheck<TSchema>, value: unknown): string {
  const error = check.Errors(value).First();
  if (!error) return "Unexpected value";
  const field = error.path.slice(1).replaceAll("/", ".");
  const message = (error.type === ValueErrorType.Union ? expectationOf(error.schema) : undefined) ?? error.message;
  return field === "" ? message : `${field}: ${message}`;
}

/** TypeBox says only "Expected union value" of a union: its description, or the words that it permits, say more. */
function expectationOf(schema: TSchema): string | undefined {
  if (schema.description !== undefined) return `Expected ${schema.description}`;
  const words = (schema.anyOf as TSchema[] | undefined)?.map((choice) => choice.const);
  return words?.every((word) => typeof word === "string") ? `Expected one of ${words.join(", ")}` : undefined;
}
