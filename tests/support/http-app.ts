import { Elysia } from "elysia";
import { Registry } from "prom-client";
import { createGuesses } from "../../src/access/guesses.ts";
import type { Refusal } from "../../src/access/model.ts";
import { type AppDeps, createApp } from "../../src/http/app.ts";
import { createOffer } from "../../src/http/downloads/offered.ts";
import { findPage } from "../../src/http/page/pack.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import { ROLE_FIELD, ROLES } from "../../src/protocol/roles.ts";
import { fakeIntake, fakeIntegrations, fakeJobs } from "./fake-integrations.ts";
import {
  agentOf,
  commandOf,
  type FakeToken,
  fakeAccess,
  fakeAgents,
  fakeAnalysis,
  fakeCommands,
  fakeDecisions,
  fakeEnrolments,
  fakeFeedback,
  fakeFigures,
  fakeIncidents,
  fakeOidc,
  fakeSessions,
  fakeSilences,
  incidentOf,
  LINE,
  uuid,
} from "./fake-services.ts";

/** Long enough to be an ADMIN_TOKEN. */
export const ADMIN_TOKEN = "a-token-of-the-administrator";

/** Settings of open access that nobody set, as on a fresh server. */
export const OPEN_ACCESS = { mode: "open", explicit: false, adminToken: null } as const;
export const TOKEN_ACCESS = { mode: "token", explicit: false, adminToken: ADMIN_TOKEN } as const;

/** One of each role. */
export const TOKENS: readonly FakeToken[] = ROLES.map((role, at) => ({
  id: uuid(700 + at),
  name: `the ${role}`,
  role,
  token: `opt_${role}`,
}));

/** The app over services in memory: two agents (the second is offline), three incidents, two commands. */
export function testApp(changes: Partial<AppDeps> = {}, config: Partial<AppDeps["config"]> = {}) {
  const all = [agentOf(1), agentOf(2, { status: "offline", last_seen_at: null, meta: null })];
  const incidents = [
    incidentOf(3),
    incidentOf(2, { status: "resolved" }),
    incidentOf(1, { agent_id: all[1]?.id ?? "" }),
  ];
  const commands = [commandOf(101, { command: "host_report" }), commandOf(102, { status: "done", exit_code: 0 })];
  const agents = fakeAgents(all);
  const logged: string[] = [];
  const tokens = [...TOKENS];
  const refusals: Refusal[] = [];
  const registry = changes.registry ?? new Registry();
  const log = createLog({ level: "debug", readable: false, destination: { write: (line) => void logged.push(line) } });
  const clock = createSystemClock();
  const audit = { refused: (one: Refusal) => void refusals.push(one), session: async () => undefined };
  const app = createApp({
    config: { access: OPEN_ACCESS, mcp: true, publicUrl: null, tls: null, trustedProxies: [], ...config },
    log,
    clock,
    version: "1.2.3",
    agents,
    enrolments: fakeEnrolments(),
    incidents: fakeIncidents(incidents),
    analysis: fakeAnalysis(incidents),
    commands: fakeCommands(commands, all),
    decisions: fakeDecisions(incidents),
    feedback: fakeFeedback(incidents),
    figures: fakeFigures(incidents),
    silences: fakeSilences(),
    sessions: fakeSessions(tokens),
    oidc: fakeOidc(),
    access: fakeAccess(tokens),
    accessAudit: audit,
    integrations: fakeIntegrations(),
    alertIntake: fakeIntake,
    jobs: fakeJobs,
    trail: { find: async ({ limit }) => ({ lines: [LINE].slice(0, limit) }) },
    countGuesses: createGuesses({ clock, log, registry, audit }),
    setup: {
      look: async ({ probe }) => [{ part: "server", state: "ok", text: probe ? "called" : "known", todo: null }],
    },
    events: { open: async () => undefined },
    slackCallback: async () => ({ ok: false, reason: "unsigned", message: "Slack's signature is missing" }),
    gatewayRoutes: new Elysia({ name: "fake-gateway" }).ws("/v1/stream", {
      detail: { summary: "The agents' stream", ...{ [ROLE_FIELD]: "everybody" } },
      open: (ws) => void ws.send("welcome"),
    }),
    websocket: {},
    registry,
    readiness: async () => ({ ready: true, checks: { database: "ok" } }),
    findPage,
    findExecutable: createOffer({ own: undefined, folder: null }),
    ...changes,
  });
  return { app, agents, logged, refusals };
}

/** One request within the process. */
export async function call(
  { app }: Pick<ReturnType<typeof testApp>, "app">,
  method: string,
  path: string,
  options: { body?: unknown; headers?: Record<string, string> } = {},
) {
  const isText = typeof options.body === "string";
  const body = options.body === undefined ? undefined : isText ? String(options.body) : JSON.stringify(options.body);
  const type: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
  const headers = { ...type, ...options.headers };
  const response = await app.handle(new Request(`http://localhost${path}`, { method, body, headers }));
  const text = await response.text();
  const isJson = text !== "" && response.headers.get("content-type")?.includes("json");
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
}
