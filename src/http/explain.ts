import type { TSchema } from "@sinclair/typebox";
import type { ValueError } from "@sinclair/typebox/errors";
import type { ValidationError } from "elysia";
import type { FieldError } from "./problems.ts";

/** More are not told: one mistake can be found in each element of a list. */
const FIELDS_MAX = 20;

/** What is wrong with a request that failed its schema, by field; a body that is no object at all is the field `body`. */
export function explain(error: ValidationError): FieldError[] {
  const found = new Map<string, FieldError>();
  for (const { path, message, schema } of valueErrors(error)) {
    const field = path.slice(1).replaceAll("/", ".") || error.type;
    if (!found.has(field)) found.set(field, { field, message: expectation(schema) ?? message });
    if (found.size === FIELDS_MAX) break;
  }
  return found.size > 0 ? [...found.values()] : [{ field: error.type, message: "is not what is expected" }];
}

function valueErrors(error: ValidationError): Iterable<ValueError> {
  const { validator } = error;
  return "Errors" in validator ? validator.Errors(error.value) : [];
}

/** In words, where TypeBox's own say too little. */
function expectation(schema: TSchema): string | undefined {
  if (schema.description) return `expected ${schema.description}`;
  if (!Array.isArray(schema.anyOf)) return undefined;
  const words = schema.anyOf.map((one: TSchema) => one.const);
  return words.every((word: unknown) => typeof word === "string") ? `expected one of ${words.join(", ")}` : undefined;
}
