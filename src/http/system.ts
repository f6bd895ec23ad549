import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { Registry } from "prom-client";
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

export interface SystemRoutesDeps {
  version: string;
  registry: Registry;
  readiness: () => Promise<Readiness>;
}

/** What other programs ask about the server itself. */
export function systemRoutes({ version, registry, readiness }: SystemRoutesDeps) {
  const tags = ["system"];
  const about = { service: "opspilot", version, status: "ok" } as const;
  return new Elysia({ name: "system", normalize: false })
    .get("/", () => about, {
      response: answers(200, Service),
      detail: { tags, summary: "What this is", security: [] },
    })
    .get("/healthz", () => ({ status: "ok" as const }), {
      response: answers(200, Health),
      detail: { tags, summary: "The process lives", security: [] },
    })
    .get(
      "/readyz",
      async ({ set }) => {
        const { ready, checks } = await readiness();
        if (!ready) set.status = 503;
        return { status: ready ? ("ready" as const) : ("unavailable" as const), checks: { ...checks } };
      },
      {
        response: { ...answers(200, ReadinessSchema), ...answers(503, ReadinessSchema) },
        detail: { tags, summary: "The server can do its work", security: [] },
      },
    )
    .get(
      "/metrics",
      async ({ set }) => {
        set.headers["content-type"] = registry.contentType;
        return registry.metrics();
      },
      { response: answers(200, MetricsText), detail: { tags, summary: "Figures for Prometheus" } },
    );
}
