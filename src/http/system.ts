import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { Registry } from "prom-client";
import { qualityOf } from "../lib/accept.ts";
import { ROLE_FIELD } from "../protocol/roles.ts";
import { PAGE_PATH } from "./page/pack.ts";
import { answers, oneOf, resource } from "./schemas.ts";

/** Whether the server can do its work. The checks are public: "ok", or a word without internals. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, string>>;
}

const Service = resource("Service", {
  service: Type.Literal("opspilot"),
  version: Type.String(),
  status: Type.Literal("ok"),
});
const Health = resource("Health", { status: Type.Literal("ok") });
const ReadinessSchema = resource("Readiness", {
  status: oneOf(["ready", "unavailable"]),
  checks: Type.Record(Type.String(), Type.String()),
});
const MetricsText = Type.String({ contentMediaType: "text/plain" });

/** What other programs ask about the server itself. */
export function systemRoutes(version: string, registry: Registry, readiness: () => Promise<Readiness>) {
  const tags = ["system"];
  const publicly = (summary: string) => ({ tags, summary, [ROLE_FIELD]: "everybody" as const });
  const alive = { status: "ok" } as const;
  const about = { service: "opspilot", version, ...alive } as const;
  return new Elysia({ name: "system", normalize: false })
    .get(
      "/",
      ({ request, set }) => {
        set.headers.vary = "Accept";
        if (!isBrowser(request)) return about;
        return new Response(null, { status: 303, headers: { location: PAGE_PATH } });
      },
      { response: answers(200, Service), detail: publicly("What this is; a browser is led to the page") },
    )
    .get("/healthz", () => alive, { response: answers(200, Health), detail: publicly("The process lives") })
    .get(
      "/readyz",
      async ({ set }) => {
        const { ready, checks } = await readiness();
        if (!ready) set.status = 503;
        return { status: ready ? ("ready" as const) : ("unavailable" as const), checks: { ...checks } };
      },
      {
        response: { ...answers(200, ReadinessSchema), ...answers(503, ReadinessSchema) },
        detail: publicly("The server can do its work"),
      },
    )
    .get(
      "/metrics",
      async ({ set }) => {
        set.headers["content-type"] = registry.contentType;
        return registry.metrics();
      },
      {
        response: answers(200, MetricsText),
        detail: { tags, summary: "Figures for Prometheus", [ROLE_FIELD]: "viewer" as const },
      },
    );
}

/** Whoever asks for HTML by its name is one; a program takes anything, or JSON. */
function isBrowser({ headers }: Request): boolean {
  const accept = headers.get("accept");
  return accept?.includes("text/html") === true && (qualityOf(accept, "text/html") ?? 0) > 0;
}
