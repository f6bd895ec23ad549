import { STATUS_CODES } from "node:http";
import { CloneType, type TSchema, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { ROLE_FIELD, type RouteRole } from "../protocol/roles.ts";
import { SESSION_COOKIE } from "./cookies.ts";
import type { Route } from "./errors.ts";
import type { RoleDetail } from "./roles.ts";
import { AnyObject, answers } from "./schemas.ts";

/** A JSON object of the description. */
type Json = Record<string, unknown>;

/** A route with what it declares, as Elysia keeps it. */
export interface DescribedRoute extends Route {
  readonly hooks: {
    readonly detail?: RoleDetail & {
      summary?: string;
      description?: string;
      tags?: string[];
      security?: Json[];
      hide?: boolean;
    };
    readonly params?: TSchema;
    readonly query?: TSchema;
    readonly body?: TSchema;
    readonly response?: Record<string, TSchema>;
  };
}

const SECURITY_SCHEMES = {
  token: {
    type: "http",
    scheme: "bearer",
    description:
      "a token (POST /v1/tokens), or ADMIN_TOKEN of the server's settings, whose role is admin; not asked for under open access. " +
      "An operation names the role that it needs: viewer, operator or admin, each of which may do what those before it may",
  },
  integration: {
    type: "http",
    scheme: "bearer",
    description: "an integration's token (POST /v1/integrations), asked for under open access, too",
  },
  session: {
    type: "apiKey",
    in: "cookie",
    name: SESSION_COOKIE,
    description: "of a browser that signed in; what changes something then needs Origin, and the type application/json",
  },
};

/**
 * The API's description (OpenAPI 3.1, whose schemas are JSON Schema as TypeBox has it), made from the routes themselves.
 * A schema with a title becomes a component.
 */
function describeApi(routes: readonly DescribedRoute[], version: string): Json {
  const schemas: Json = {};
  const paths: Record<string, Json> = {};
  for (const route of routes.filter(({ hooks }) => hooks.detail?.hide !== true)) {
    const path = pathOf(route.path);
    paths[path] = { ...paths[path], [methodOf(route)]: operationOf(route, schemas) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "OpsPilot",
      version,
      description: "Agents, incidents and commands.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: securityFor("admin"),
    paths,
    components: { schemas, securitySchemes: SECURITY_SCHEMES },
  };
}

/** The path as the description writes it: `/v1/agents/{id}` for `/v1/agents/:id`, no slash at its end. */
export function pathOf(path: string): string {
  return path.replaceAll(/:([^/]+)/g, "{$1}").replace(/(.)\/$/, "$1");
}

/** The method of a route as the description names it; a WebSocket begins as a GET. */
export function methodOf({ method }: Route): string {
  return method === "WS" ? "get" : method.toLowerCase();
}

function operationOf(route: DescribedRoute, schemas: Json): Json {
  const { detail: { [ROLE_FIELD]: role = "admin", ...detail } = {}, params, query, body } = route.hooks;
  const parameters = [...parametersOf(params, "path", schemas), ...parametersOf(query, "query", schemas)];
  return {
    operationId: operationIdOf(route),
    ...detail,
    security: detail.security ?? securityFor(role),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: bodyOf(body, schemas) } : {}),
    responses: route.method === "WS" ? WEBSOCKET_RESPONSES : responsesOf(route, schemas),
  };
}

/** OpenAPI 3.1 has names of roles where OAuth has scopes. */
function securityFor(role: RouteRole): Json[] {
  return role === "everybody" ? [] : [{ token: [role] }, { session: [role] }];
}

function operationIdOf(route: DescribedRoute): string {
  const words = [methodOf(route), ...route.path.split(/[^A-Za-z0-9]+/).filter((word) => word !== "")];
  if (words.length === 1) words.push("root");
  return words.map((word, at) => (at === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1))).join("");
}

function parametersOf(schema: TSchema | undefined, where: "path" | "query", schemas: Json): Json[] {
  const required: string[] = schema?.required ?? [];
  return Object.entries<TSchema>(schema?.properties ?? {}).map(([name, property]) => ({
    name,
    in: where,
    required: required.includes(name),
    schema: schemaOf(property, schemas),
  }));
}

function bodyOf(schema: TSchema, schemas: Json): Json {
  const required: string[] = schema.required ?? [];
  return { required: required.length > 0, content: { "application/json": { schema: schemaOf(schema, schemas) } } };
}

function responsesOf({ hooks }: DescribedRoute, schemas: Json): Json {
  const { cursor, before } = hooks.query?.properties ?? {};
  const isList = (cursor ?? before) !== undefined;
  const isPublic = hooks.detail?.[ROLE_FIELD] === "everybody" && hooks.detail.security === undefined;
  const answers = Object.entries(hooks.response ?? {}).filter(
    ([status, { title }]) => !(isPublic && title === "Problem" && NOT_OF_PUBLIC_ROUTES.includes(status)),
  );
  return Object.fromEntries(
    answers.map(([status, schema]) => {
      const content =
        status === "204" ? {} : { content: { [mediaTypeOf(schema)]: { schema: schemaOf(schema, schemas) } } };
      const headers = isList && status === "200" ? { headers: LINK_HEADER } : {};
      return [status, { description: STATUS_CODES[status] ?? status, ...headers, ...content }];
    }),
  );
}

function mediaTypeOf(schema: TSchema): string {
  if (schema.title === "Problem") return "application/problem+json";
  return schema.contentMediaType ?? "application/json";
}

/** A copy without TypeBox's symbols; text that stands for a number is shown as one; parts with a title go into the components and leave a reference. */
function schemaOf(schema: TSchema, schemas: Json): unknown {
  return JSON.parse(JSON.stringify(schema), (_, value) => {
    if (value?.integer) return value.integer;
    if (typeof value?.title !== "string" || typeof value.type !== "string") return value;
    schemas[value.title] = value;
    return { $ref: `#/components/schemas/${value.title}` };
  });
}

/** Routes without a credential do without the database, too. */
const NOT_OF_PUBLIC_ROUTES = ["401", "429", "503"];

const LINK_HEADER = {
  Link: { description: 'the next page, rel="next"; absent on the last', schema: { type: "string" } },
};

const WEBSOCKET_RESPONSES = {
  "101": { description: "the protocol is WebSocket from here on; the agents' tokens are checked in its frames" },
  "403": { description: STATUS_CODES["403"] },
  "426": { description: STATUS_CODES["426"] },
};

const Page = Type.String({ contentMediaType: "text/html" });

/** The API described for programs, and a plain page for people. `routes` is asked when the first request comes: then all are there. */
export function openapiRoutes(routes: () => readonly DescribedRoute[], version: string) {
  const tags = ["system"];
  let document: Record<string, unknown> | undefined;
  const described = () => {
    document ??= describeApi(routes(), version);
    return document;
  };
  return new Elysia({ name: "openapi", normalize: false })
    .get("/openapi/json", described, {
      response: answers(200, CloneType(AnyObject)),
      detail: { tags, summary: "This description", [ROLE_FIELD]: "viewer" as const },
    })
    .get(
      "/openapi",
      ({ set, path }) => {
        set.headers["content-type"] = "text/html; charset=utf-8";
        set.headers["content-security-policy"] = PAGE_POLICY;
        // A proxy in front may show all this below a path of its own.
        return openapiPage(described(), version, path.endsWith("/") ? "json" : "openapi/json");
      },
      {
        response: answers(200, Page),
        detail: { tags, summary: "The API on one page", [ROLE_FIELD]: "viewer" as const },
      },
    );
}

/** What is used of the API's description. */
type Paths = Record<string, Record<string, { summary?: string; security?: { token?: string[] }[] }>>;

/** One plain page that lists the API, without a script: nothing is loaded from elsewhere. */
function openapiPage(document: Record<string, unknown>, version: string, jsonHref: string): string {
  const rows = Object.entries(document.paths as Paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, { summary = "", security }]) =>
        `<tr><td>${method.toUpperCase()}</td><td><code>${Bun.escapeHTML(path)}</code></td><td>${security?.[0]?.token?.[0] ?? ""}</td><td>${Bun.escapeHTML(summary)}</td></tr>`,
    ),
  );
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>OpsPilot API</title>
<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}td{padding:.2rem 1rem .2rem 0}</style></head>
<body><h1>OpsPilot API ${Bun.escapeHTML(version)}</h1>
<p>The whole description, for programs: <a href="${jsonHref}">/openapi/json</a> (OpenAPI 3.1).</p>
<table>${rows.join("\n")}</table></body>
</html>`;
}

/** Its own styles, and nothing else. */
const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
