import type { Sql } from "postgres";

/** A statement as a client was asked for it. */
export interface SaidStatement {
  readonly text: string;
  readonly parameterBytes: number;
}

/** The same client, which keeps what it is asked outside of transactions; `begin` counts as one. */
export function countingSql(sql: Sql): { sql: Sql; said: SaidStatement[] } {
  const said: SaidStatement[] = [];
  const counting = new Proxy(sql, {
    apply(target, self, [strings, ...parameters]: [TemplateStringsArray, ...unknown[]]) {
      const isStatement = Array.isArray(strings) && "raw" in strings;
      const text = isStatement ? strings.join("?").trim() : "";
      if (/^(select|insert|update|delete|with)\b/.test(text))
        said.push({ text, parameterBytes: JSON.stringify(parameters.filter(isValue))?.length ?? 0 });
      return Reflect.apply(target as never, self, [strings, ...parameters]);
    },
    get(target, key) {
      if (key === "begin") said.push({ text: "begin", parameterBytes: 0 });
      return Reflect.get(target, key);
    },
  });
  return { sql: counting, said };
}

/** Parts of a statement are asked for by themselves. */
function isValue(parameter: unknown): boolean {
  return parameter === null || typeof parameter !== "object" || Array.isArray(parameter) || parameter instanceof Date;
}
