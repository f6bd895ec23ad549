import type { CharSet } from "./char-set.ts";
import { type Assertion, type Pattern, PatternError } from "./syntax.ts";

/** One step of a nondeterministic machine; `next` and `other` are places in its program. */
export type Step =
  | { readonly kind: "set"; readonly set: CharSet; readonly next: number }
  | { readonly kind: "assertion"; readonly assertion: Assertion; readonly next: number }
  | { readonly kind: "split"; readonly next: number; readonly other: number }
  | { readonly kind: "match" };

/** A machine: where it begins, and its steps. */
export interface Program {
  readonly start: number;
  readonly steps: readonly Step[];
}

/** Each repetition is written out, so that counts multiply; more steps than these cost too much for every character. */
const STEPS_MAX = 3000;

/** The pattern as a program, built from its end: each part is told where the next one begins. */
export function programOf(pattern: Pattern): Program {
  const steps: Step[] = [];

  function add(step: Step): number {
    if (steps.length >= STEPS_MAX) throw new PatternError("it repeats too much");
    return steps.push(step) - 1;
  }

  function build(part: Pattern, next: number): number {
    switch (part.kind) {
      case "set":
        return add({ kind: "set", set: part.set, next });
      case "assertion":
        return add({ kind: "assertion", assertion: part.assertion, next });
      case "sequence":
        return part.parts.reduceRight((after, one) => build(one, after), next);
      case "choice":
        return part.parts
          .map((one) => build(one, next))
          .reduceRight((other, one) => add({ kind: "split", next: one, other }));
      case "repeat":
        return repeat(part, next);
    }
  }

  function repeat({ part, min, max }: Pattern & { kind: "repeat" }, next: number): number {
    let start = max === Number.POSITIVE_INFINITY ? loop(part, next) : next;
    if (max !== Number.POSITIVE_INFINITY)
      for (let count = min; count < max; count++) start = add({ kind: "split", next: build(part, start), other: next });
    for (let count = 0; count < min; count++) start = build(part, start);
    return start;
  }

  function loop(part: Pattern, next: number): number {
    const at = add({ kind: "split", next, other: next });
    steps[at] = { kind: "split", next: build(part, at), other: next };
    return at;
  }

  const end = add({ kind: "match" });
  const start = build(pattern, end);
  return { start, steps };
}
