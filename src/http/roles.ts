import { ROLE_FIELD, type RouteRole } from "../protocol/roles.ts";
import type { Route } from "./errors.ts";

/** What describes a route, as far as it says who may use it. */
export interface RoleDetail {
  readonly [ROLE_FIELD]?: RouteRole;
}

/** The role that a route names; undefined where it names none. */
export function roleOf(route: Route): RouteRole | undefined {
  return (route as { hooks?: { detail?: RoleDetail } }).hooks?.detail?.[ROLE_FIELD];
}

/** The role that a request for this route needs. A HEAD is answered by the route of the GET, and a WebSocket begins as one. */
export function neededRole(routes: readonly Route[], { method }: Pick<Request, "method">, path: string): RouteRole {
  const methods = method === "HEAD" || method === "GET" ? ["GET", "WS"] : [method];
  const route = routes.find((one) => one.path === path && methods.includes(one.method));
  return (route && roleOf(route)) ?? "admin";
}
