import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { JobService, JobView } from "../cron/model.ts";
import { type JobFields, readJob } from "../cron/spec.ts";
import {
  INTEGRATION_KINDS,
  INTEGRATION_NAME,
  type Integration,
  type IntegrationService,
} from "../integrations/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import { integrationSetup } from "./integration-setup.ts";
import { type OwnAddress, ownAddress } from "./own-address.ts";
import { existing, HttpProblem, invalid } from "./problems.ts";
import * as api from "./schemas.ts";

const Job = api.resource("Job", {
  schedule: Type.String({ description: "five fields of cron, or how often" }),
  zone: api.nullable(Type.String()),
  grace_s: Type.Number(),
  limit_s: api.nullable(Type.Number()),
  paused: Type.Boolean(),
  running: Type.Boolean(),
  trouble: api.nullable(api.oneOf(["late", "failed", "overdue"])),
  due_at: api.Instant,
  last_ping_at: api.nullable(api.Instant),
  last_duration_ms: api.nullable(Type.Number()),
});
const INTEGRATION = {
  id: api.Uuid,
  kind: api.oneOf(INTEGRATION_KINDS),
  name: Type.String(),
  created_at: api.Instant,
  created_by: Type.String(),
  last_used_at: api.nullable(Type.String({ format: "date-time", description: "to the minute" })),
  job: api.nullable(Job),
};
/** What alerts beside agents. */
export type IntegrationView = Static<typeof IntegrationSchema>;
const IntegrationSchema = api.resource("Integration", INTEGRATION);
/** The same, with what is shown this once. */
export type NewIntegrationView = Static<typeof IntegrationWithToken>;
const IntegrationWithToken = api.resource("NewIntegration", {
  ...INTEGRATION,
  token: Type.String({ description: "the secret, shown this once" }),
  url: Type.String({ description: "where it sends to, with the token as `Authorization: Bearer`" }),
  setup: Type.String({ description: "the lines to paste where it alerts" }),
});
const MINUTE_S = 60;
const seconds = (what: string, minimum: number) =>
  Type.Integer({ minimum, maximum: 366 * 86_400, description: `${what}, seconds` });
const BODY = api.input({
  kind: Type.Unsafe<(typeof INTEGRATION_KINDS)[number]>(
    Type.Union(
      INTEGRATION_KINDS.map((kind) => Type.Literal(kind)),
      { description: INTEGRATION_KINDS.join(" or ") },
    ),
  ),
  name: Type.String({
    pattern: INTEGRATION_NAME,
    description: "1 to 64 letters, digits, spaces and . _ + -, with a letter or digit at both ends",
  }),
  schedule: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: "of a job: five fields of cron, or @daily" }),
  ),
  zone: Type.Optional(
    Type.String({ minLength: 1, maxLength: 100, description: "of the schedule, such as Europe/Berlin; UTC if absent" }),
  ),
  every_s: Type.Optional(seconds("of a job, in place of a schedule", MINUTE_S)),
  grace_s: Type.Optional(seconds("so long after it was due a job is not late yet; 300 if absent", 0)),
  limit_s: Type.Optional(seconds("how long a job may run at most", 1)),
});
const PAUSE = api.input({ paused: Type.Boolean({ description: "true or false" }) });

interface IntegrationRouteDeps {
  jobs: Pick<JobService, "views" | "pause">;
  integrations: IntegrationService;
  actorOf: ActorOf;
  config: OwnAddress;
}

/** What alerts beside agents: each with a token that is good for its intake alone. */
export function integrationRoutes({ integrations, jobs, actorOf, config }: IntegrationRouteDeps) {
  const { viewer, admin } = api.describing("integrations");

  async function withJobs(found: readonly Integration[]) {
    const views = await jobs.views(found.flatMap(({ id, kind }) => (kind === "cron" ? [id] : [])));
    return found.map((one) => shown(one, views.get(one.id)));
  }

  async function withJob(one: Integration) {
    const views = await jobs.views(one.kind === "cron" ? [one.id] : []);
    return shown(one, views.get(one.id));
  }

  return new Elysia({ name: "integrations", prefix: "/v1/integrations", normalize: false })
    .get(
      "/",
      async ({ query, request, set }) => {
        const page = await integrations.list({ limit: api.limitOf(query), cursor: query.cursor });
        return api.pageOf(await withJobs(page.integrations), page.nextCursor, { request, set });
      },
      viewer(
        "Integrations, newest first; never what their tokens are",
        { query: api.pageQuery(api.Uuid, {}) },
        api.answers(200, Type.Array(IntegrationSchema)),
      ),
    )
    .post(
      "/",
      async ({ body, request, server, set }) => {
        const { kind, name } = body;
        const wanted = kind === "cron" ? { kind, name, job: specOf(body) } : { kind, name };
        if (kind !== "cron") refuseJobFields(body);
        const creation = await integrations.create(wanted, actorOf(request, server));
        if (!creation.ok) throw new HttpProblem(409, creation.reason, creation.message);
        const { made, token } = creation;
        set.status = 201;
        return {
          ...(await withJob(made)),
          token,
          ...integrationSetup(kind, ownAddress(request, config), token),
        };
      },
      admin(
        "A new integration; its token is shown this once",
        { body: BODY },
        api.answers(201, IntegrationWithToken, 409),
      ),
    )
    .post(
      "/:id/rotate",
      async ({ params, request, server }) => {
        const rotated = existing("integration", await integrations.rotate(params.id, actorOf(request, server)));
        const { integration, token } = rotated;
        const setup = integrationSetup(integration.kind, ownAddress(request, config), token);
        return { ...(await withJob(integration)), token, ...setup };
      },
      admin(
        "Another token for an integration, shown this once; the old one is no good from then on",
        { params: api.UUID_PARAMS },
        api.answers(200, IntegrationWithToken, 404),
      ),
    )
    .patch(
      "/:id",
      async ({ params, body, request, server, set }) => {
        existing("job", await jobs.pause(params.id, body.paused, actorOf(request, server)));
        set.status = 204;
      },
      admin(
        "Pauses a job, of which nothing is expected then, or lets it go on",
        { params: api.UUID_PARAMS, body: PAUSE },
        api.answers(204, Type.Void(), 404),
      ),
    )
    .delete(
      "/:id",
      async ({ params, request, server, set }) => {
        existing("integration", await integrations.revoke(params.id, actorOf(request, server)));
        set.status = 204;
      },
      admin(
        "Removes an integration: its token is no longer good, its incidents stay",
        { params: api.UUID_PARAMS },
        api.answers(204, Type.Void(), 404),
      ),
    );
}

function shown(one: Integration, job: JobView | undefined) {
  return { ...api.onWire(one), job: job === undefined ? null : api.onWire(job) };
}

function specOf(body: Static<typeof BODY>) {
  const read = readJob(fieldsOf(body));
  if (read.ok) return read.spec;
  throw invalid(read.faults);
}

function fieldsOf({ schedule, zone, every_s, grace_s, limit_s }: Static<typeof BODY>): JobFields {
  return { schedule, zone, every_s, grace_s, limit_s };
}

/** What would be kept nowhere is a mistake. */
function refuseJobFields(body: Static<typeof BODY>): void {
  const given = Object.entries(fieldsOf(body)).filter(([, value]) => value !== undefined);
  if (given.length === 0) return;
  throw invalid(given.map(([field]) => ({ field, message: "goes with the kind cron alone" })));
}
