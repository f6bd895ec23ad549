import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { EnrolmentService } from "../fleet/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import type { Clock } from "../lib/clock.ts";
import { installCommand, type OwnAddress, ownAddress } from "./own-address.ts";
import { existing, invalid } from "./problems.ts";
import * as api from "./schemas.ts";

/** As many as may enrol themselves. */
const USES_MAX = 10_000;

const ENROLMENT = {
  id: api.Uuid,
  uses: Type.Integer({ description: "hosts that it is for, in all" }),
  uses_left: Type.Integer(),
  until: api.Instant,
  created_at: api.Instant,
  created_by: Type.String(),
};
const EnrolmentSchema = api.resource("Enrolment", ENROLMENT);
const EnrolmentWithToken = api.resource("NewEnrolment", {
  ...ENROLMENT,
  token: Type.String({ description: "the secret, shown this once: OPSPILOT_ENROL_TOKEN of agents" }),
  install: Type.String({ description: "the command that makes the agent a service of each of these hosts" }),
});
const BODY = api.input({
  uses: Type.Integer({ minimum: 1, maximum: USES_MAX, description: `a whole number from 1 to ${USES_MAX}` }),
  until: Type.String({ description: "a time in the future such as 2026-01-31T18:00:00Z" }),
});

interface EnrolmentRouteDeps {
  enrolments: EnrolmentService;
  actorOf: ActorOf;
  config: OwnAddress;
  clock: Pick<Clock, "now">;
}

/** Tokens by which hosts of an image or a playbook make themselves known. */
export function enrolmentRoutes({ enrolments, actorOf, config, clock }: EnrolmentRouteDeps) {
  const { admin } = api.describing("agents");
  return new Elysia({ name: "enrolments", prefix: "/v1/enrolments", normalize: false })
    .get(
      "/",
      async ({ query, request, set }) => {
        const page = await enrolments.list({ limit: api.limitOf(query), cursor: query.cursor });
        return api.pageOf(page.enrolments, page.nextCursor, { request, set });
      },
      admin(
        "Enrolment tokens that have uses left, newest first; never what they are",
        { query: api.pageQuery(api.Uuid, {}) },
        api.answers(200, Type.Array(EnrolmentSchema)),
      ),
    )
    .post(
      "/",
      async ({ body, request, server, set }) => {
        const until = api.futureOf(body.until, "until", clock.now());
        if (until === null) throw invalid([{ field: "until", message: "is needed" }]);
        const { enrolment, token } = await enrolments.create({ uses: body.uses, until }, actorOf(request, server));
        set.status = 201;
        const install = installCommand(ownAddress(request, config), { enrolToken: token });
        return { ...api.onWire(enrolment), token, install };
      },
      admin(
        "A new enrolment token, shown this once: so many hosts may make themselves known by it until then",
        { body: BODY },
        api.answers(201, EnrolmentWithToken),
      ),
    )
    .delete(
      "/:id",
      async ({ params, request, server, set }) => {
        existing("enrolment", await enrolments.revoke(params.id, actorOf(request, server)));
        set.status = 204;
      },
      admin(
        "Revokes an enrolment token; the hosts that came by it stay",
        { params: api.UUID_PARAMS },
        api.answers(204, Type.Void(), 404),
      ),
    );
}
