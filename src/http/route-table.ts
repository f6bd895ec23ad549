import { HttpProblem } from "./problems.ts";

/** A registered route, as far as it is looked at here. */
export interface Route {
  readonly method: string;
  readonly path: string;
}

/** What to answer where no route matched: the path may be known by other methods (405), as a WebSocket (426), or not at all. */
export function createMissedRoutes(routes: () => readonly Route[]) {
  return (method: string, path: string): HttpProblem => {
    const methods = routes()
      .filter((route) => patternOf(route.path).test(path))
      .map((route) => route.method);
    if (methods.length === 0) return new HttpProblem(404, "not_found", "there is nothing here");
    if (method === "GET" && methods.includes("WS")) {
      const headers = { upgrade: "websocket", connection: "Upgrade" };
      return new HttpProblem(426, "upgrade_required", "this is a WebSocket", { headers });
    }
    const allow = [...new Set(methods.map((one) => (one === "WS" ? "GET" : one)))].join(", ");
    return new HttpProblem(405, "method_not_allowed", `allowed here: ${allow}`, { headers: { allow } });
  };
}

/** The pattern's parameters as one segment each, its last slash as optional. */
function patternOf(path: string): RegExp {
  const segments = path.split("/").map((part) => (part.startsWith(":") ? "[^/]+" : RegExp.escape(part)));
  return new RegExp(`^${segments.join("/").replace(/\/$/, "")}/?$`);
}
