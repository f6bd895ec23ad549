import { type Static, type TObject, type TProperties, type TSchema, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Role } from "../../protocol/roles.ts";
import { faultsOf } from "../errors.ts";
import { invalid } from "../problems.ts";

/** Who calls a tool. */
export interface Caller {
  /** As the audit trail has it. */
  readonly actor: string;
  readonly role: Role;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** What a tool does to the world: for programs that ask their person first. */
export type Effect = "looks" | "asks_host" | "decides" | "disturbs";

/** What describes a tool to a model, and to the person before it. */
interface Described {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Whose tokens see it and may call it: the role that the same needs by REST. */
  readonly role: Role;
  readonly effect: Effect;
}

/** A tool as it is offered. */
export interface Tool extends Described {
  readonly input: TSchema & { readonly type: "object" };
  /** What it finds, or what came of it. Throws an HttpProblem for what is refused, also for arguments that are not as `input` says. */
  call(given: unknown, caller: Caller): Promise<object>;
}

interface ToolSpec<P extends TProperties> extends Described {
  readonly takes: P;
  run(given: Static<TObject<P>>, caller: Caller): Promise<object>;
}

/** Makes a tool that looks at its arguments before anything else; one that is not known is a mistake, of which a model should hear. */
export function tool<P extends TProperties>({ takes, run, ...described }: ToolSpec<P>): Tool {
  const input = Type.Object(takes, { additionalProperties: false });
  return {
    ...described,
    input,
    async call(given, caller) {
      if (!Value.Check(input, given)) throw invalid(faultsOf(Value.Errors(input, given), "arguments"));
      return run(given, caller);
    },
  };
}

/** Throws the refusal unless exactly one of these arguments is given. */
export function exactlyOne(given: Readonly<Record<string, unknown>>, ...names: string[]): void {
  if (names.filter((name) => given[name] !== undefined).length === 1) return;
  throw invalid(names.map((field) => ({ field, message: `exactly one of ${names.join(", ")} is needed` })));
}
