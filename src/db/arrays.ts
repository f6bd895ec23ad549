/** The serializers and parsers of a client, by type OID, and which array type belongs to which. */
interface TypeTables {
  readonly serializers: Record<number, (value: unknown) => unknown>;
  readonly parsers: Record<number, (text: string) => unknown>;
  readonly shared: { readonly typeArrayMap: Record<number, number> };
}

/** PostgreSQL's own types never change their OIDs: [element, array]. */
const ARRAY_TYPES = [
  [16, 1000], // boolean
  [17, 1001], // bytea
  [20, 1016], // bigint
  [21, 1005], // smallint
  [23, 1007], // integer
  [25, 1009], // text
  [114, 199], // json
  [700, 1021], // real
  [701, 1022], // double precision
  [1043, 1015], // varchar
  [1082, 1182], // date
  [1114, 1115], // timestamp
  [1184, 1185], // timestamptz
  [1700, 1231], // numeric
  [2950, 2951], // uuid
  [3802, 3807], // jsonb
] as const;

/**
 * Teaches a client the arrays of the usual types. The driver would ask the server for them on each new connection
 * (`fetch_types`): one more round trip, and a rejection that nobody can catch when the connection breaks during it.
 */
export function addArrayTypes(tables: TypeTables): void {
  for (const [element, array] of ARRAY_TYPES) {
    tables.shared.typeArrayMap[element] = array;
    tables.serializers[array] = (value) => writeArray(value, (one) => tables.serializers[element]?.(one) ?? one);
    tables.parsers[array] = (text) => readArray(text, (one) => tables.parsers[element]?.(one) ?? one);
  }
}

/** PostgreSQL's text form of an array: every element in quotes, NULL without. */
export function writeArray(value: unknown, write: (element: unknown) => unknown): string {
  if (!Array.isArray(value)) return String(value);
  const elements = value.map((one) => {
    if (Array.isArray(one)) return writeArray(one, write);
    return one === null || one === undefined ? "NULL" : `"${String(write(one)).replace(/["\\]/g, "\\$&")}"`;
  });
  return `{${elements.join(",")}}`;
}

/** Reads PostgreSQL's text form of an array, nested ones too. */
export function readArray(text: string, read: (element: string) => unknown): unknown[] {
  const stack: unknown[][] = [[]];
  // A brace, a quoted element, or a bare one; bounds before the first brace ("[0:1]={…}") are passed over.
  for (const [token] of text.slice(text.indexOf("{")).matchAll(/[{}]|"(?:\\.|[^"\\])*"|[^{},"]+/gs)) {
    const top = stack.at(-1) ?? [];
    if (token === "{") {
      const inner: unknown[] = [];
      top.push(inner);
      stack.push(inner);
    } else if (token === "}") stack.pop();
    else if (token.startsWith('"')) top.push(read(token.slice(1, -1).replace(/\\(.)/gs, "$1")));
    else top.push(token === "NULL" ? null : read(token));
  }
  return stack[0]?.[0] as unknown[];
}
