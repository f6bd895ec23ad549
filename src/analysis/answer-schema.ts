import { CATEGORIES } from "./model.ts";

const text = { type: "string" } as const;

/**
 * What a model is asked for, as the JSON Schema that providers accept in strict mode: every key required, no others, and no
 * limits on lengths, which several refuse. ModelAnswerSchema, which has them, decides about what comes back.
 */
export const ANSWER_JSON_SCHEMA = {
  type: "object",
  properties: {
    cause: text,
    explanation: text,
    fix: text,
    fix_command: { anyOf: [text, { type: "null" }] },
    category: { type: "string", enum: CATEGORIES },
    severity: { type: "string", enum: ["info", "warning", "critical"] },
    confidence: { type: "number" },
    evidence: { type: "array", items: text },
  },
  required: ["cause", "explanation", "fix", "fix_command", "category", "severity", "confidence", "evidence"],
  additionalProperties: false,
} as const;
