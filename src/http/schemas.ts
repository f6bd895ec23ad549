import {
  CloneType,
  type Static,
  type TObject,
  type TProperties,
  type TSchema,
  type TUnsafe,
  Type,
} from "@sinclair/typebox";
import { UUID } from "../lib/uuid.ts";
import { ROLE_FIELD, type RouteRole } from "../protocol/roles.ts";
import { invalid, Problem, parseJson, refuseUnstorable } from "./problems.ts";

/** A page's size when nothing is said, and at most: an incident has up to 4 KiB in a list. */
const PAGE = { default: 100, max: 1_000 } as const;

/** An object of the API: no field that is not declared leaves the server. */
export function resource<T extends TProperties>(title: string, properties: T): TObject<T> {
  return Type.Object(properties, { title, additionalProperties: false });
}

/** What a client sends: fields of a later version are ignored. */
export function input<T extends TProperties>(properties: T): TObject<T> {
  return Type.Object(properties, { additionalProperties: true });
}

/** One of some words. */
export function oneOf<const W extends string>(words: readonly W[]): TUnsafe<W> {
  return Type.Unsafe<W>(Type.Union(words.map((word) => Type.Literal(word))));
}

/** The schema, or null. */
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** A UUID in its usual form. */
export const Uuid = Type.String({ pattern: `^${UUID}$`, description: "a UUID" });
/** UUIDs within a URL, with commas between them. */
export const Uuids = Type.String({
  pattern: `^${UUID}(,${UUID}){0,99}$`,
  description: "UUIDs, 100 at most, with commas between them",
});
/** An instant, ISO 8601 in UTC. */
export const Instant = Type.String({ format: "date-time" });

/** An instant in a request, as RFC 3339 has it: with an offset, since what people mean must not be an hour off. */
const INSTANT = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:?\d{2})$/;

/** PostgreSQL and ISO 8601 write no other years than 1 to 9999 alike. */
const YEARS_MS = { first: Date.parse("0001-01-01T00:00:00Z"), last: Date.parse("9999-12-31T23:59:59.999Z") };

/** Its moment, Unix milliseconds; NaN for what is no instant. */
export function instantMs(text: string): number {
  const ms = INSTANT.test(text) ? Date.parse(text) : Number.NaN;
  return ms >= YEARS_MS.first && ms <= YEARS_MS.last ? ms : Number.NaN;
}

/** When something ends, in a request; null or absent where it never does. */
export const FutureText = Type.Union([Type.String(), Type.Null()], {
  description: "a time in the future such as 2026-01-31T18:00:00Z, or null",
});
/** What is meant to last longer has no end. */
const FUTURE_DAYS_MAX = 3_650;
const DAY_MS = 86_400_000;

/** The moment of such a text. Throws the refusal of one that is none, or over, or too far away. */
export function futureOf(text: string | null | undefined, field: string, nowMs: number): Date | null {
  if (text === undefined || text === null) return null;
  const ms = instantMs(text);
  if (Number.isNaN(ms)) throw invalid([{ field, message: "expected a time such as 2026-01-31T18:00:00Z" }]);
  if (ms <= nowMs) throw invalid([{ field, message: "is in the past" }]);
  if (ms > nowMs + FUTURE_DAYS_MAX * DAY_MS)
    throw invalid([{ field, message: `is more than ${FUTURE_DAYS_MAX} days away` }]);
  return new Date(ms);
}

/** The largest PostgreSQL integer. */
const SERIAL_MAX = 2_147_483_647;

/** An incident's number. */
export const IncidentId = Type.Integer({ minimum: 1, maximum: SERIAL_MAX });

/**
 * A number from 1 within a URL, where it is text. Elysia's own numbers take "0x10" and " 1" for some, and do not name the
 * field that is out of range. `integer` is for the API's description.
 */
function numberText(pattern: string, maximum: number): TUnsafe<number> {
  const description = `a whole number from 1 to ${maximum}`;
  const text = Type.String({ pattern, description, integer: { type: "integer", minimum: 1, maximum } });
  const number = Type.Transform(text)
    .Decode((digits) => Math.min(Number(digits), maximum))
    .Encode(String);
  return Type.Unsafe<number>(number);
}

/** An incident's number in a URL. What is beyond all numbers becomes the last, which no incident ever has. */
export const IncidentIdText = numberText("^[1-9]\\d{0,9}$", SERIAL_MAX);

/** Whatever JSON object. */
export const AnyObject = Type.Unsafe<Record<string, unknown>>(
  Type.Object({}, { additionalProperties: true, description: "an object" }),
);

/** A row's number in a URL, of a table that may have more rows than incidents can. */
export const RowIdText = numberText("^[1-9]\\d{0,15}$", Number.MAX_SAFE_INTEGER);

/** A page's size in a URL. */
export const Limit = Type.Optional(numberText("^([1-9]\\d{0,2}|1000)$", PAGE.max));

/** The query of a list: how many, and where the page before ended. */
export function pageQuery<C extends TSchema, T extends TProperties>(cursor: C, filters: T) {
  return input({ limit: Limit, cursor: Type.Optional(cursor), ...filters });
}

/** A path with the UUID `id`. */
export const UUID_PARAMS = input({ id: Uuid });
/** A path with the number `id`. */
export const NUMBER_PARAMS = input({ id: IncidentIdText });

/** Refusals that routes have in common: no credential, a web page, a proxy or too low a role, too many wrong ones, a surprise, no database. */
const COMMON_PROBLEMS = [401, 403, 429, 500, 503];

/**
 * The answers of a route, for Elysia and the API's description. Copies: Elysia changes the schemas it is given. The type
 * names success alone, since problems are thrown.
 */
export function answers<Status extends number, S extends TSchema>(
  status: Status,
  schema: S,
  ...problems: number[]
): Record<Status, S> {
  return { ...refusals([...problems, ...COMMON_PROBLEMS]), [status]: CloneType(schema) } as Record<Status, S>;
}

const refusals = (statuses: readonly number[]) =>
  Object.fromEntries(statuses.map((status) => [status, CloneType(Problem)]));

/** What a request brings. */
interface Taken {
  params?: TSchema;
  query?: TSchema;
  body?: TSchema;
}

/** The options of the routes with this tag: who may use each, what it takes and answers, and how the API describes it. */
export function describing(tag: string) {
  const optionsFor =
    (role: RouteRole) =>
    <const T extends Taken, const A extends Record<number, TSchema>>(summary: string, taken: T, answered: A) => {
      const copies = Object.fromEntries(Object.entries(taken).map(([part, schema]) => [part, CloneType(schema)])) as T;
      const wrong = taken.body ? [400, 413, 415, 422] : Object.keys(taken).length > 0 ? [422] : [];
      const response = { ...refusals(wrong), ...answered } as A;
      // A credential may come along, and need not.
      const security = role === "everybody" ? { security: [{}] } : {};
      const detail = { tags: [tag], summary, [ROLE_FIELD]: role, ...security };
      const transform = ({ query }: { query: unknown }) => {
        if (taken.query) refuseUnstorable(query);
      };
      return { ...(taken.body ? { parse: parseJson } : {}), transform, ...copies, response, detail };
    };
  return {
    everybody: optionsFor("everybody"),
    viewer: optionsFor("viewer"),
    operator: optionsFor("operator"),
    admin: optionsFor("admin"),
  };
}

/** Dates as they go over the wire. */
export type OnWire<T> = {
  [K in keyof T]: T[K] extends Date ? string : T[K] extends Date | null ? string | null : T[K];
};

/** The row with its dates as text. */
export function onWire<T extends object>(row: T): OnWire<T> {
  const entries = Object.entries(row).map(([key, value]) => [key, value instanceof Date ? value.toISOString() : value]);
  return Object.fromEntries(entries) as OnWire<T>;
}

/** A list's rows; its `Link` header leads to the next page: this request with another cursor, which is the parameter `name`. */
export function pageOf<T extends object>(
  rows: readonly T[],
  nextCursor: string | number | undefined,
  { request, set }: { request: Request; set: { headers: Record<string, unknown> } },
  name = "cursor",
): OnWire<T>[] {
  if (nextCursor !== undefined) {
    const url = new URL(request.url);
    url.searchParams.set(name, String(nextCursor));
    set.headers.link = `<${url.pathname}${url.search}>; rel="next"`;
  }
  return rows.map(onWire);
}

/** The page's size that was asked for, or the default. */
export function limitOf(query: { limit?: Static<typeof Limit> }): number {
  return query.limit ?? PAGE.default;
}
