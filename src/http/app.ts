import { type AnyElysia, Elysia } from "elysia";
import type { Registry } from "prom-client";
import type { CountGuesses } from "../access/guesses.ts";
import type { AccessAudit, AccessService } from "../access/model.ts";
import type { AnalysisService } from "../analysis/model.ts";
import type { CommandService } from "../commands/model.ts";
import type { Config } from "../config.ts";
import type { JobService } from "../cron/model.ts";
import type { DecisionService } from "../decisions/model.ts";
import type { SetupService } from "../doctor/setup.ts";
import type { FeedbackService } from "../feedback/model.ts";
import type { FigureService } from "../figures/model.ts";
import type { AgentService, EnrolmentService } from "../fleet/model.ts";
import type { AuditTrail } from "../incidents/audit-store.ts";
import type { IncidentService } from "../incidents/model.ts";
import type { AlertIntake, IntegrationService } from "../integrations/model.ts";
import { createClientAddress } from "../lib/addresses.ts";
import type { Clock } from "../lib/clock.ts";
import { FAILURE_LIMITS, type FailureLimits } from "../lib/failure-counter.ts";
import type { Log } from "../lib/log.ts";
import type { OidcService } from "../oidc/model.ts";
import type { SessionService } from "../sessions/model.ts";
import type { SilenceService } from "../silences/model.ts";
import type { SlackReceiver } from "../slack/slack.ts";
import { createAccessCheck, createAuthorization, pathOf } from "./access.ts";
import { agentRoutes } from "./agents.ts";
import { auditRoutes } from "./audit.ts";
import { commandRoutes } from "./commands.ts";
import { compress } from "./compress.ts";
import { createCredentials } from "./credentials.ts";
import type { FindOffered } from "./downloads/offered.ts";
import { downloadRoutes } from "./downloads/routes.ts";
import { enrolmentRoutes } from "./enrolments.ts";
import { createErrorHandler, createMissedRoutes } from "./errors.ts";
import type { EventStreams } from "./event-streams.ts";
import { type AccessWatch, eventRoutes } from "./events.ts";
import { feedbackRoutes } from "./feedback.ts";
import { figureRoutes } from "./figures.ts";
import { incidentHistoryRoutes } from "./incident-history.ts";
import { incidentListRoutes } from "./incident-lists.ts";
import { incidentRoutes } from "./incidents.ts";
import { INTAKE_BODY_BYTES_MAX, intakeRoutes } from "./intake.ts";
import { integrationRoutes } from "./integrations.ts";
import { mcpRoutes } from "./mcp/routes.ts";
import { oidcRoutes } from "./oidc.ts";
import { type DescribedRoute, openapiRoutes } from "./openapi.ts";
import type { Page } from "./page/pack.ts";
import { isPagePath, PAGE_HEADERS, pageRoutes } from "./page/routes.ts";
import { pingRoutes } from "./pings.ts";
import { problemResponse, refuseHalfUpgrade, SAFE_HEADERS } from "./problems.ts";
import { createSenders } from "./senders.ts";
import { sessionRoutes } from "./session.ts";
import { setupRoutes } from "./setup.ts";
import { silenceRoutes } from "./silences.ts";
import { slackRoutes } from "./slack.ts";
import { type Readiness, systemRoutes } from "./system.ts";
import { tokenRoutes } from "./tokens.ts";

/** Above the longest wait for a command (25 s, and a few until it is sent): Bun cuts off requests that are idle for longer. */
const IDLE_TIMEOUT_SECONDS = 60;

export interface AppDeps {
  config: Pick<Config, "access" | "mcp" | "publicUrl" | "tls" | "trustedProxies">;
  log: Log;
  clock: Clock;
  version: string;
  agents: AgentService;
  enrolments: EnrolmentService;
  incidents: IncidentService;
  analysis: AnalysisService;
  commands: CommandService;
  figures: FigureService;
  decisions: DecisionService;
  feedback: FeedbackService;
  silences: SilenceService;
  sessions: SessionService;
  /** Sign-in at a provider; null where none is set up: then there are no such routes. */
  oidc: OidcService | null;
  access: AccessService;
  accessAudit: AccessAudit;
  integrations: IntegrationService;
  alertIntake: AlertIntake;
  jobs: JobService;
  trail: AuditTrail;
  countGuesses: CountGuesses;
  setup: SetupService;
  events: EventStreams;
  /** Takes Slack's callbacks; null without a signing secret: then there is no such route. */
  slackCallback: SlackReceiver["callback"];
  /** The plugin with the agents' stream, and the options of its sockets, which count only at the root. */
  gatewayRoutes: AnyElysia;
  websocket: Record<string, unknown>;
  registry: Registry;
  readiness: () => Promise<Readiness>;
  /** Of the executable, or built of the sources. */
  findPage: () => Promise<Page>;
  /** The executables that hosts are given. */
  findExecutable: FindOffered;
  failureLimits?: FailureLimits;
}

/** Everything that is answered over HTTP, not listening yet. */
export function createApp(deps: AppDeps) {
  const { config, log, clock, version, agents, incidents, analysis, commands, decisions, silences, sessions, oidc } =
    deps;
  const { failureLimits = FAILURE_LIMITS, access: tokens, accessAudit: audit } = deps;
  const failures = deps.countGuesses("api", failureLimits);
  const credentials = createCredentials({ access: config.access, tokens, failures, sessions });
  const check = createAccessCheck(config, credentials);
  const addressOf = createClientAddress(config.trustedProxies);
  const routes = () => app.routes as unknown as DescribedRoute[];
  const authorization = createAuthorization({ routes, addressOf, audit });
  const { admit, authorize, actorOf } = authorization;
  // What Bun gives is gone once it is answered.
  const watchAccess: AccessWatch = (request, server) => {
    const [asked, address] = [new Request(request.url, { headers: [...request.headers] }), addressOf(request, server)];
    return async () => (await check(asked, address)).ok;
  };
  const senderOf = createSenders(deps.integrations, failures);
  const handleError = createErrorHandler({ log, missed: createMissedRoutes(routes) });

  const app = new Elysia({
    name: "opspilot",
    normalize: false,
    // One router for all: Bun's own takes paths apart in a way of its own, and access is decided by the path.
    systemRouter: false,
    // Where Elysia begins to look for the path: after "http://", so that hosts with short names are served, too; its other
    // choice, for "https://", asks for three letters.
    handler: { standardHostname: config.tls !== null },
    websocket: deps.websocket,
    serve: SERVE_OPTIONS,
  })
    .onRequest(async ({ request, server, set }) => {
      const path = pathOf(request.url);
      Object.assign(set.headers, SAFE_HEADERS, path !== undefined && isPagePath(path) ? PAGE_HEADERS : {});
      const admission = await check(request, addressOf(request, server));
      if (!admission.ok) return problemResponse(admission.problem);
      if (admission.identity) admit(request, admission.identity);
    })
    // Of all routes, once it is known which: before what the request brings is looked at.
    .onTransform(({ request, server, route }) => {
      authorize(request, server, route);
      refuseHalfUpgrade(request);
    })
    .onError((failed) => handleError(failed))
    // Elysia tells by the word alone that it is to wait.
    .mapResponse(async ({ responseValue, request, set }) => compress(responseValue, request, set))
    .use(systemRoutes(version, deps.registry, deps.readiness))
    .use(pageRoutes(deps.findPage))
    .use(downloadRoutes({ find: deps.findExecutable, config, clock }))
    .use(sessionRoutes({ config, credentials, sessions, addressOf, audit, oidc, log }))
    .use(oidc === null ? new Elysia() : oidcRoutes({ oidc, config, sessions, addressOf, audit, log }))
    .use(openapiRoutes(routes, version))
    .use(agentRoutes({ agents, actorOf, config, version }))
    .use(incidentListRoutes(incidents))
    .use(incidentHistoryRoutes(incidents))
    .use(incidentRoutes({ incidents, decisions, analysis, agents, actorOf }))
    .use(feedbackRoutes(deps.feedback, actorOf))
    .use(figureRoutes(deps.figures, agents))
    .use(commandRoutes(commands, agents, actorOf))
    .use(auditRoutes(deps.trail))
    .use(enrolmentRoutes({ enrolments: deps.enrolments, actorOf, config, clock }))
    .use(tokenRoutes(tokens, actorOf, clock))
    .use(integrationRoutes({ integrations: deps.integrations, jobs: deps.jobs, actorOf, config }))
    .use(intakeRoutes({ senderOf, intake: deps.alertIntake, addressOf, clock, log }))
    .use(pingRoutes({ jobs: deps.jobs, senderOf, addressOf }))
    .use(silenceRoutes(silences, actorOf, clock))
    .use(setupRoutes(deps.setup))
    .use(eventRoutes(deps.events, watchAccess))
    .use(config.mcp ? mcpRoutes({ ...deps, ...authorization }) : new Elysia())
    .use(deps.slackCallback === null ? new Elysia() : slackRoutes(deps.slackCallback))
    .use(deps.gatewayRoutes);
  return app;
}

/** The app, for whoever listens. */
export type App = ReturnType<typeof createApp>;

const SERVE_OPTIONS = {
  development: false,
  idleTimeout: IDLE_TIMEOUT_SECONDS,
  // The largest of all routes; the others' own limit is checked with the rest of the access rules, and by their parser.
  maxRequestBodySize: INTAKE_BODY_BYTES_MAX,
};
