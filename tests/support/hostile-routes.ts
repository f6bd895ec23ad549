import fc from "fast-check";
import { TestAgent } from "./agent.ts";
import { hostileText, hostileValue } from "./hostile-text.ts";
import { alertFrame } from "./server.ts";
import { until } from "./until.ts";

/** A part of the API's description: looked into without describing it first. */
// biome-ignore lint/suspicious/noExplicitAny: see above
type Json = any;

/** One operation of the API's description. */
export interface HostileRoute {
  readonly method: string;
  readonly path: string;
  readonly operation: Json;
  /** The statuses that it names. */
  readonly statuses: readonly number[];
  readonly resolve: (schema: Json) => Json;
}

/** One request, as it goes over the wire. */
export interface HostileRequest {
  readonly method: string;
  /** With the query, escaped. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** A server that is asked. `known`: ids of things that are there, so that a part of the requests gets as far as to them. */
export interface HostileTarget {
  readonly url: string;
  readonly token: string;
  readonly known: Readonly<Record<"agent" | "incident" | "other", readonly string[]>>;
}

const METHODS = ["get", "post", "put", "patch", "delete"];

/** All routes of a running server, by its own description. */
export async function readRoutes({ url, token }: Pick<HostileTarget, "url" | "token">): Promise<HostileRoute[]> {
  const answer = await fetch(`${url}/openapi/json`, { headers: { authorization: `Bearer ${token}` } });
  const document: Json = await answer.json();
  const resolve = (schema: Json): Json =>
    schema?.$ref === undefined ? schema : document.components.schemas[schema.$ref.split("/").at(-1)];
  return Object.entries<Json>(document.paths).flatMap(([path, operations]) =>
    Object.entries<Json>(operations)
      .filter(([method]) => METHODS.includes(method))
      .map(([method, operation]) => {
        const statuses = Object.keys(operation.responses).map(Number);
        return { method: method.toUpperCase(), path, operation, statuses, resolve };
      }),
  );
}

/** Requests to the route: mostly of its shape, with parts that are none of it. */
export function requestsTo(route: HostileRoute, { token, known }: HostileTarget): fc.Arbitrary<HostileRequest> {
  const { method, path, operation } = route;
  const parameters: Json[] = operation.parameters ?? [];
  const parts = path.split("/").map((part) => {
    const name = /^\{(.+)\}$/.exec(part)?.[1];
    if (name === undefined) return fc.constant(part);
    const schema = parameters.find((one) => one.in === "path" && one.name === name)?.schema;
    const ids = idsFor(path, known);
    const sought = ids.length > 0 ? fc.constantFrom(...ids) : proper(schema, route.resolve).map(String);
    return fc.oneof(
      { weight: 4, arbitrary: sought.map(escaped) },
      { weight: 1, arbitrary: proper(schema, route.resolve).map(String).map(escaped) },
      { weight: 2, arbitrary: hostileText.map((text) => escaped(text.slice(0, 2_000))) },
      {
        weight: 1,
        arbitrary: fc.constantFrom("%zz", "%ff", "%00", "%2e%2e", "%2F", "%", "*", "0", "-1", "1".repeat(30)),
      },
    );
  });
  return fc
    .record({
      parts: fc.tuple(...parts),
      query: queryOf(
        parameters.filter((one) => one.in === "query"),
        route,
      ),
      body: bodyOf(route),
      headers: headersOf(token),
    })
    .map(({ parts: made, query, body, headers }) => ({
      method,
      target: made.join("/") + query,
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      body: method === "GET" ? undefined : body,
    }));
}

function idsFor(path: string, known: HostileTarget["known"]): readonly string[] {
  if (path.includes("/agents/")) return known.agent;
  return path.includes("/incidents/") ? known.incident : known.other;
}

function queryOf(parameters: readonly Json[], { resolve }: HostileRoute): fc.Arbitrary<string> {
  const named = parameters.map(({ name, schema }) =>
    fc
      .oneof({ weight: 3, arbitrary: proper(schema, resolve) }, { weight: 2, arbitrary: hostileText })
      .map((value) => `${name}=${escaped(String(value).slice(0, 4_000))}`),
  );
  const strange = fc.oneof(
    fc.constantFrom("limit=1&limit=2", "limit[]=1", "__proto__=1", "cursor=%ff", "a=%zz", "%00=%00", "=", "&&", "?"),
    fc
      .tuple(hostileText, hostileText)
      .map(([name, value]) => `${escaped(name.slice(0, 100))}=${escaped(value.slice(0, 100))}`),
  );
  const pair = fc.oneof(...named, strange);
  return fc
    .array(
      named.length > 0 ? fc.oneof({ weight: 8, arbitrary: fc.oneof(...named) }, { weight: 1, arbitrary: pair }) : pair,
      {
        maxLength: 4,
      },
    )
    .map((pairs) => (pairs.length === 0 ? "" : `?${pairs.join("&")}`));
}

function bodyOf({ operation, resolve }: HostileRoute): fc.Arbitrary<string | undefined> {
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  const any = hostileValue.map((value) => JSON.stringify(value));
  const garbage = fc.oneof(
    any,
    fc.constantFrom("", "{", "[", "nul", '{"a":1,}', "\u0000", '"', "[".repeat(60_000), `{"a":${"[".repeat(30_000)}`),
    fc.constantFrom(63, 64, 65, 200, 1_000).map((kib) => JSON.stringify({ x: "x".repeat(kib * 1024) })),
    fc.constant('{"a":1,"a":2,"\\u0000":"\\ud800"}'),
  );
  if (schema === undefined)
    return fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: garbage });
  return fc.oneof(
    { weight: 5, arbitrary: objectOf(resolve(schema), resolve).map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: garbage },
  );
}

/** An object whose fields are sometimes missing, sometimes of another kind. */
function objectOf(schema: Json, resolve: (schema: Json) => Json): fc.Arbitrary<unknown> {
  const fields = Object.entries<Json>(schema.properties ?? {}).map(([name, property]) => {
    const isRequired = schema.required?.includes(name);
    const value = fc.oneof(
      { weight: 6, arbitrary: proper(property, resolve) },
      { weight: 1, arbitrary: hostileValue },
      { weight: 2, arbitrary: hostileText },
      { weight: isRequired ? 0 : 2, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.constantFrom(undefined, null) },
    );
    return [name, value] as const;
  });
  const unknown = fc.option(hostileValue, { nil: undefined, freq: 8 });
  return fc.record({ ...Object.fromEntries(fields), unknown_field: unknown });
}

/** A value that the schema asks for. */
function proper(schema: Json, resolve: (schema: Json) => Json): fc.Arbitrary<unknown> {
  const one = resolve(schema) ?? {};
  const choices: Json[] | undefined = one.anyOf ?? one.oneOf;
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => proper(choice, resolve)));
  if (one.const !== undefined) return fc.constant(one.const);
  if (one.enum !== undefined) return fc.constantFrom(...one.enum);
  switch (one.type) {
    case "integer":
      return fc.integer({ min: one.minimum ?? -5, max: Math.min(one.maximum ?? 100, 2 ** 53) });
    case "number":
      return fc.double({ min: one.minimum ?? -5, max: one.maximum ?? 100, noNaN: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(proper(one.items, resolve), { minLength: one.minItems ?? 0, maxLength: 5 });
    case "object":
      return one.properties === undefined || Object.keys(one.properties).length === 0
        ? fc.dictionary(fc.oneof(fc.constantFrom("service", "container", "lines"), hostileText), hostileValue, {
            maxKeys: 3,
          })
        : objectOf(one, resolve);
    default:
      return textOf(one);
  }
}

const FUTURE = "2035-01-31T18:00:00Z";

function textOf({ pattern, format, minLength = 0, maxLength = 60, description = "" }: Json): fc.Arbitrary<string> {
  if (description === "a UUID") return fc.uuid();
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern), { size: "small" });
  if (format === "date-time" || /\btime\b/.test(description))
    return fc.constantFrom(FUTURE, "2020-02-29T23:59:59+14:00");
  const long = fc.constant("x".repeat(maxLength));
  return fc.oneof(
    fc.constantFrom("nginx", "web-1", "*"),
    fc.string({ minLength, maxLength: Math.min(maxLength, 60) }),
    long,
  );
}

/** The right credential mostly, and what proxies, caches, browsers and others send. */
function headersOf(token: string): fc.Arbitrary<Record<string, string>> {
  const right = { authorization: `Bearer ${token}` };
  const strange = fc.constantFrom<Record<string, string>>(
    {},
    { authorization: "Bearer x' or '1'='1" },
    { authorization: `Basic ${"A".repeat(6_000)}` },
    { ...right, "content-type": "text/plain" },
    { ...right, "content-type": "application/json; charset=utf-16" },
    { ...right, "content-type": "multipart/form-data; boundary=--" },
    { ...right, "content-type": "" },
    { ...right, accept: "text/html" },
    { ...right, "accept-encoding": "gzip;q=NaN, br, *;q=0" },
    { ...right, cookie: `opspilot_session=${"%00".repeat(100)}; ${"a=b; ".repeat(500)}` },
    { ...right, origin: "null" },
    { ...right, origin: "http://[::1" },
    { ...right, "last-event-id": "'; drop table agents; --" },
    { ...right, "if-none-match": "*", range: "bytes=-1", "content-encoding": "gzip" },
    { ...right, "x-forwarded-for": "not, an, address", forwarded: "for=;;;", "x-http-method-override": "DELETE" },
    { ...right, upgrade: "websocket", connection: "Upgrade" },
    { ...right, upgrade: "websocket", connection: "Upgrade", "sec-websocket-key": "x", "sec-websocket-version": "13" },
    { ...right, "x-long": "x".repeat(8_000) },
  );
  return fc.oneof({ weight: 12, arbitrary: fc.constant(right) }, { weight: 1, arbitrary: strange });
}

function escaped(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

const ANSWER_LIMIT_MS = 30_000;
/** What only the server's inside knows. */
const LEAKS =
  /PostgresError|DrizzleQueryError|Failed query|syntax error at|invalid input syntax|invalid byte sequence|violates \S+ constraint|duplicate key|out of range for type|\n\s+at |node_modules|\$bunfs|\.ts:\d+|(?:TypeError|RangeError|SyntaxError):/;
/** Any route may answer so, though it does not say. */
const UNSAID_STATUSES = [400, 404, 405, 413, 415, 426, 431];

/** Sends it, and tells what is wrong with the answer; nothing where all is as promised. A stream is left after its head. */
export async function faultOf(
  target: HostileTarget,
  route: HostileRoute,
  request: HostileRequest,
): Promise<string | undefined> {
  const leaving = new AbortController();
  const answer = await fetch(target.url + request.target, {
    method: request.method,
    headers: request.headers,
    redirect: "manual",
    signal: AbortSignal.any([leaving.signal, AbortSignal.timeout(ANSWER_LIMIT_MS)]),
    ...(request.body === undefined ? {} : { body: request.body }),
  });
  if (answer.headers.get("content-type")?.startsWith("text/event-stream")) {
    leaving.abort();
    return undefined;
  }
  return judge(route, answer, await answer.text());
}

function judge(route: HostileRoute, answer: Response, text: string): string | undefined {
  const { status, headers } = answer;
  const type = headers.get("content-type");
  if (headers.has("x-injected")) return "a header was injected";
  // What is too large for any route, and a WebSocket of another version, Bun refuses itself, in no words.
  if ((status === 413 || status === 426) && text === "") return undefined;
  if (headers.get("x-content-type-options") !== "nosniff") return `${status} without nosniff`;
  if (status < 400)
    return route.statuses.includes(status) || isLeading(route, status) ? undefined : `${status} is not described`;
  if (status >= 500 && status !== 503) return `${status}: ${text.slice(0, 300)}`;
  if (![...route.statuses, ...UNSAID_STATUSES].includes(status))
    return `${status} is not described: ${text.slice(0, 300)}`;
  if (type !== "application/problem+json") return `${status} as ${type}: ${text.slice(0, 300)}`;
  return problemFault(status, text);
}

/** A browser is led from the first page to the one that it can show. */
const isLeading = ({ path }: HostileRoute, status: number) => path === "/" && status === 303;

function problemFault(status: number, text: string): string | undefined {
  const leak = LEAKS.exec(text)?.[0];
  if (leak !== undefined) return `the answer tells ${JSON.stringify(leak)}: ${text.slice(0, 300)}`;
  const problem: Json = JSON.parse(text);
  if (problem.status !== status || !/^[a-z_]+$/.test(problem.code) || typeof problem.detail !== "string")
    return `no problem of ${status}: ${text.slice(0, 300)}`;
  const needsField = status === 422 || problem.code === "bad_json";
  const isNamed =
    problem.errors?.every((one: Json) => one.field !== "" && one.message !== "") && problem.errors.length > 0;
  return needsField && !isNamed ? `no field is named: ${text.slice(0, 300)}` : undefined;
}

/** What is tried. */
export interface RouteFuzz {
  /** On each route. */
  readonly cases: number;
  readonly seed?: number | undefined;
  /** What is not tried by then is left out. */
  readonly limitMs?: number;
  readonly signal?: AbortSignal;
}

/** Routes that are asked at the same time. */
const LANES = 8;

/** Tries requests on each route; throws what fast-check says of the first that is wrong, with its seed. Returns how many there were. */
export async function fuzzRoutes(
  target: HostileTarget,
  routes: readonly HostileRoute[],
  options: RouteFuzz,
): Promise<number> {
  const { cases, seed, limitMs, signal } = options;
  const routeLimitMs = limitMs === undefined ? Number.POSITIVE_INFINITY : (limitMs * LANES) / routes.length;
  const waiting = [...routes];
  let tried = 0;

  async function fuzz(route: HostileRoute): Promise<void> {
    const endMs = performance.now() + routeLimitMs;
    const property = fc.asyncProperty(requestsTo(route, target), async (request) => {
      signal?.throwIfAborted();
      if (performance.now() > endMs) return;
      tried++;
      const fault = await faultOf(target, route, request);
      if (fault !== undefined) throw new Error(`${route.method} ${route.path}: ${fault}`);
    });
    await fc.assert(property, { numRuns: cases, ...(seed === undefined ? {} : { seed }) });
  }
  async function lane(): Promise<void> {
    for (let route = waiting.shift(); route !== undefined; route = waiting.shift()) await fuzz(route);
  }
  await Promise.all(Array.from({ length: LANES }, lane));
  return tried;
}

const AGENTS = 20;
const INCIDENTS = 40;

/** A server that has something in it: agents, and incidents of them. `token`: its administrator's. */
export async function prepareTarget(url: string, token: string): Promise<HostileTarget> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const agents: Json[] = [];
  for (let n = 0; n < AGENTS; n++) {
    const body = JSON.stringify({ hostname: `web-${n}` });
    agents.push(await (await fetch(`${url}/v1/agents`, { method: "POST", headers, body })).json());
  }
  const socket = await TestAgent.connect(`${url.replace("http", "ws")}/v1/stream`);
  for (let n = 0; n < INCIDENTS; n++) socket.send(alertFrame(`a${n}`, agents[0].token, { source: `service-${n}` }));
  await until(() => socket.frames.filter(({ type }) => type === "ack").length === INCIDENTS, { what: "all are there" });
  await socket.close();
  const numbers = Array.from({ length: INCIDENTS }, (_, n) => String(n + 1));
  return { url, token, known: { agent: agents.map(({ id }) => id), incident: numbers, other: numbers } };
}
