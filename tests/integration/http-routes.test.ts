import { describe, expect, test } from "bun:test";
import { agentOf, fakeAgents, fakeIncidents, incidentOf, uuid } from "../support/fake-services.ts";
import { call, testApp } from "../support/http-app.ts";

const AGENT = uuid(1);
const OFFLINE = uuid(2);
const UNKNOWN = uuid(9);

/** A request and what must come of it: the status, and for a refusal its code and the fields it names. */
interface Case {
  request: [method: string, path: string, body?: unknown];
  status: number;
  code?: string;
  fields?: string[];
}

const ping = (changes: object = {}) => ({ agent_id: AGENT, command: "ping", params: {}, ...changes });

const LATER = new Date(Date.now() + 3_600_000).toISOString();
const silence = (changes: object = {}) => ({
  agent: "web-*",
  type: "systemd",
  source: "nginx",
  until: LATER,
  ...changes,
});

const CASES: Case[] = [
  { request: ["GET", "/"], status: 200 },
  { request: ["HEAD", "/"], status: 200 },
  { request: ["GET", "/healthz"], status: 200 },
  { request: ["GET", "/readyz"], status: 200 },
  { request: ["GET", "/metrics"], status: 200 },
  { request: ["GET", "/openapi"], status: 200 },
  { request: ["GET", "/openapi/json"], status: 200 },

  { request: ["GET", "/v1/agents"], status: 200 },
  { request: ["GET", "/v1/agents?unknown=1"], status: 200 },
  { request: ["GET", "/v1/agents?limit=1000"], status: 200 },
  { request: ["GET", `/v1/agents?ids=${Array(100).fill(AGENT)}`], status: 200 },
  ...[Array(101).fill(AGENT).join(), "", "1", `${AGENT},`].map((ids) => ({
    request: ["GET", `/v1/agents?ids=${ids}`] as [string, string],
    status: 422,
    fields: ["ids"],
  })),
  ...["0", "1001", "-1", "1.5", "1e2", "0x10", "%201", "abc", ""].map((limit) => ({
    request: ["GET", `/v1/agents?limit=${limit}`] as [string, string],
    status: 422,
    fields: ["limit"],
  })),
  { request: ["GET", "/v1/agents?limit=0&cursor=1"], status: 422, fields: ["limit", "cursor"] },
  { request: ["POST", "/v1/agents"], status: 201 },
  { request: ["POST", "/v1/agents", {}], status: 201 },
  { request: ["POST", "/v1/agents", { hostname: "web-1", later: true }], status: 201 },
  { request: ["POST", "/v1/agents", { hostname: "" }], status: 422, fields: ["hostname"] },
  { request: ["POST", "/v1/agents", { hostname: "h".repeat(256) }], status: 422, fields: ["hostname"] },
  { request: ["POST", "/v1/agents", { hostname: 5 }], status: 422, fields: ["hostname"] },
  { request: ["POST", "/v1/agents", []], status: 422, fields: ["body"] },
  { request: ["POST", "/v1/agents", "null"], status: 422, fields: ["body"] },
  { request: ["POST", "/v1/agents", "{bad"], status: 400, code: "bad_json", fields: ["body"] },
  { request: ["POST", "/v1/agents", "[".repeat(60_000)], status: 400, code: "bad_json" },
  { request: ["POST", "/v1/agents", JSON.stringify("x".repeat(70_000))], status: 413, code: "too_large" },
  { request: ["GET", `/v1/agents/${AGENT}`], status: 200 },
  { request: ["GET", `/v1/agents/${UNKNOWN}`], status: 404, code: "agent_not_found" },
  { request: ["GET", "/v1/agents/xyz"], status: 422, fields: ["id"] },
  { request: ["DELETE", `/v1/agents/${AGENT}`], status: 204 },
  { request: ["DELETE", `/v1/agents/${UNKNOWN}`], status: 404, code: "agent_not_found" },
  { request: ["DELETE", "/v1/agents/xyz"], status: 422, fields: ["id"] },
  { request: ["POST", `/v1/agents/${AGENT}/rotate-token`], status: 200 },
  { request: ["POST", `/v1/agents/${UNKNOWN}/rotate-token`], status: 404, code: "agent_not_found" },

  { request: ["GET", `/v1/agents/${AGENT}/metrics`], status: 200 },
  { request: ["GET", `/v1/agents/${AGENT}/metrics?from=1700000000&to=1700003600&step=60`], status: 200 },
  {
    request: ["GET", `/v1/agents/${AGENT}/metrics?from=2026-01-31T18:00:00%2B01:00&to=2026-02-01T18:00:00Z&step=3600`],
    status: 200,
  },
  { request: ["GET", `/v1/agents/${AGENT}/metrics?to=${Math.floor(Date.now() / 1000) + 86_400}`], status: 200 },
  { request: ["GET", `/v1/agents/${UNKNOWN}/metrics`], status: 404, code: "agent_not_found" },
  { request: ["GET", "/v1/agents/xyz/metrics"], status: 422, fields: ["id"] },
  ...["yesterday", "2026-01-31", "2026-13-31T18:00:00Z", "2026-01-31T18:00:00", "-5", "1e9", ""].flatMap((moment) =>
    ["from", "to"].map((field) => ({
      request: ["GET", `/v1/agents/${AGENT}/metrics?${field}=${moment}`] as [string, string],
      status: 422,
      fields: [field],
    })),
  ),
  ...["61", "0", "60.0", "minute", ""].map((step) => ({
    request: ["GET", `/v1/agents/${AGENT}/metrics?step=${step}`] as [string, string],
    status: 422,
    fields: ["step"],
  })),
  { request: ["GET", `/v1/agents/${AGENT}/metrics?from=x&to=y&step=z`], status: 422, fields: ["step"] },
  { request: ["GET", `/v1/agents/${AGENT}/metrics?from=x&to=y`], status: 422, fields: ["from", "to"] },
  { request: ["GET", `/v1/agents/${AGENT}/metrics?from=1700003600&to=1700003600`], status: 422, fields: ["from"] },
  { request: ["GET", `/v1/agents/${AGENT}/metrics?from=9999999999`], status: 422, fields: ["from"] },
  { request: ["GET", `/v1/agents/${AGENT}/metrics?from=1&to=1700000000`], status: 422, fields: ["from"] },
  {
    request: ["GET", `/v1/agents/${AGENT}/metrics?from=1700000000&to=1701000000&step=60`],
    status: 422,
    fields: ["step"],
  },
  { request: ["GET", "/v1/incidents/3/metrics"], status: 200 },
  { request: ["GET", "/v1/incidents/4/metrics"], status: 404, code: "incident_not_found" },
  { request: ["GET", "/v1/incidents/x/metrics"], status: 422, fields: ["id"] },

  { request: ["GET", `/v1/agents/${AGENT}/incidents`], status: 200 },
  { request: ["GET", `/v1/agents/${AGENT}/incidents?status=nope`], status: 422, fields: ["status"] },
  { request: ["GET", `/v1/agents/${AGENT}/incidents?cursor=x`], status: 422, fields: ["cursor"] },
  { request: ["GET", `/v1/agents/${UNKNOWN}/incidents`], status: 404, code: "agent_not_found" },
  { request: ["GET", "/v1/incidents?status=new"], status: 200 },
  { request: ["GET", `/v1/incidents?agent_id=${AGENT}`], status: 200 },
  { request: ["GET", "/v1/incidents?agent_id=1"], status: 422, fields: ["agent_id"] },
  { request: ["GET", "/v1/incidents/3"], status: 200 },
  { request: ["GET", "/v1/incidents/3/analysis"], status: 200 },
  { request: ["GET", "/v1/incidents/4/analysis"], status: 404, code: "incident_not_found" },
  { request: ["GET", "/v1/incidents/x/analysis"], status: 422, fields: ["id"] },
  { request: ["GET", "/v1/incidents/3/history"], status: 200 },
  { request: ["GET", "/v1/incidents/4/history"], status: 404, code: "incident_not_found" },
  { request: ["GET", "/v1/incidents/x/history"], status: 422, fields: ["id"] },
  { request: ["POST", "/v1/incidents/3/analyze"], status: 202 },
  { request: ["POST", "/v1/incidents/4/analyze"], status: 404, code: "incident_not_found" },
  { request: ["POST", "/v1/incidents/3/feedback", { verdict: "right", later: true }], status: 200 },
  { request: ["POST", "/v1/incidents/3/feedback", { verdict: "wrong" }], status: 422, fields: ["verdict"] },
  { request: ["POST", "/v1/incidents/3/feedback"], status: 422, fields: ["verdict"] },
  { request: ["POST", "/v1/incidents/3/feedback", []], status: 422, fields: ["body"] },
  { request: ["POST", "/v1/incidents/4/feedback", { verdict: "right" }], status: 404, code: "incident_not_found" },
  { request: ["POST", "/v1/incidents/x/feedback", { verdict: "right" }], status: 422, fields: ["id"] },
  { request: ["POST", "/v1/incidents/3/investigate"], status: 202 },
  { request: ["POST", "/v1/incidents/4/investigate"], status: 404, code: "incident_not_found" },
  { request: ["POST", "/v1/incidents/x/investigate"], status: 422, fields: ["id"] },
  { request: ["GET", "/v1/incidents/4"], status: 404, code: "incident_not_found" },
  { request: ["GET", "/v1/incidents/9999999999"], status: 404, code: "incident_not_found" },
  ...["0", "-1", "1.0", "abc", "99999999999"].map((id) => ({
    request: ["GET", `/v1/incidents/${id}`] as [string, string],
    status: 422,
    fields: ["id"],
  })),
  { request: ["PATCH", "/v1/incidents/3", { status: "acknowledged" }], status: 200 },
  { request: ["PATCH", "/v1/incidents", { ids: [2, 3, 4], status: "acknowledged" }], status: 200 },
  { request: ["PATCH", "/v1/incidents", { ids: [3], status: "new" }], status: 422, fields: ["status"] },
  ...[[], [3, 3], Array.from({ length: 501 }, (_, n) => n + 1), "3"].map((ids) => ({
    request: ["PATCH", "/v1/incidents", { ids, status: "ignored" }] as [string, string, unknown],
    status: 422,
    fields: ["ids"],
  })),
  { request: ["PATCH", "/v1/incidents", { ids: [0, 3], status: "ignored" }], status: 422, fields: ["ids.0"] },

  { request: ["GET", "/v1/silences"], status: 200 },
  { request: ["GET", "/v1/silences?ended=true&limit=5"], status: 200 },
  { request: ["GET", "/v1/silences?ended=yes"], status: 422, fields: ["ended"] },
  { request: ["GET", "/v1/silences?cursor=x"], status: 422, fields: ["cursor"] },
  { request: ["POST", "/v1/silences", silence()], status: 201 },
  { request: ["POST", "/v1/silences", { source: "nginx*" }], status: 201 },
  { request: ["POST", "/v1/silences", { agent: "*", until: LATER }], status: 201 },
  { request: ["POST", "/v1/silences", silence({ until: LATER.replace("Z", "-02:00"), more: 1 })], status: 201 },
  { request: ["POST", "/v1/silences", { agent: "*", type: "**" }], status: 422, fields: ["until"] },
  ...[{}, { agent: "", type: " ", source: null }, { until: LATER, comment: "all" }].map((body) => ({
    request: ["POST", "/v1/silences", body] as [string, string, unknown],
    status: 422,
    fields: ["agent", "type", "source"],
  })),
  ...["2001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "tomorrow", "2030-01-01", "2030-01-01T00:00:00", 5].map(
    (until) => ({
      request: ["POST", "/v1/silences", silence({ until })] as [string, string, unknown],
      status: 422,
      fields: ["until"],
    }),
  ),
  { request: ["POST", "/v1/silences", silence({ agent: 5 })], status: 422, fields: ["agent"] },
  { request: ["POST", "/v1/silences", silence({ type: "t".repeat(256) })], status: 422, fields: ["type"] },
  { request: ["POST", "/v1/silences", silence({ source: ["a"] })], status: 422, fields: ["source"] },
  { request: ["POST", "/v1/silences", silence({ comment: "c".repeat(1001) })], status: 422, fields: ["comment"] },
  { request: ["POST", "/v1/silences", []], status: 422, fields: ["body"] },
  { request: ["POST", "/v1/silences", "{bad"], status: 400, code: "bad_json", fields: ["body"] },
  { request: ["GET", "/v1/silences/fit?source=nginx*"], status: 200 },
  { request: ["GET", "/v1/silences/fit"], status: 422, fields: ["agent", "type", "source"] },
  { request: ["GET", "/v1/silences/fit?source=%20"], status: 422, fields: ["agent", "type", "source"] },
  { request: ["GET", `/v1/silences/fit?type=${"t".repeat(256)}`], status: 422, fields: ["type"] },
  { request: ["GET", "/v1/silences/1/fit"], status: 404, code: "silence_not_found" },
  { request: ["GET", "/v1/silences/x/fit"], status: 422, fields: ["id"] },
  { request: ["DELETE", "/v1/silences/1"], status: 404, code: "silence_not_found" },
  { request: ["DELETE", "/v1/silences/x"], status: 422, fields: ["id"] },
  { request: ["PUT", "/v1/silences"], status: 405, code: "method_not_allowed" },
  { request: ["PATCH", "/v1/incidents/3", { status: "new" }], status: 422, fields: ["status"] },
  { request: ["PATCH", "/v1/incidents/3", {}], status: 422, fields: ["status"] },
  { request: ["PATCH", "/v1/incidents/3"], status: 422, fields: ["status"] },
  { request: ["PATCH", "/v1/incidents/2", { status: "ignored" }], status: 409, code: "invalid_transition" },
  { request: ["PATCH", "/v1/incidents/4", { status: "ignored" }], status: 404, code: "incident_not_found" },

  { request: ["POST", "/v1/incidents/3/decisions", { action: "restart" }], status: 202 },
  { request: ["POST", "/v1/incidents/3/decisions", { action: "ignore", variant: "1h", more: 1 }], status: 202 },
  { request: ["POST", "/v1/incidents/3/decisions", { action: "reboot" }], status: 422, fields: ["action"] },
  { request: ["POST", "/v1/incidents/3/decisions", {}], status: 422, fields: ["action"] },
  {
    request: ["POST", "/v1/incidents/3/decisions", { action: "ignore", variant: "2h" }],
    status: 422,
    fields: ["variant"],
  },
  {
    request: ["POST", "/v1/incidents/3/decisions", { action: "restart", variant: "1h" }],
    status: 422,
    fields: ["variant"],
  },
  { request: ["POST", "/v1/incidents/3/decisions", "{bad"], status: 400, code: "bad_json" },
  { request: ["POST", "/v1/incidents/2/decisions", { action: "resolve" }], status: 409, code: "resolved" },
  { request: ["POST", "/v1/incidents/4/decisions", { action: "resolve" }], status: 404, code: "incident_not_found" },
  { request: ["POST", "/v1/incidents/x/decisions", { action: "resolve" }], status: 422, fields: ["id"] },
  { request: ["GET", "/v1/incidents/3/decisions"], status: 405, code: "method_not_allowed" },

  { request: ["POST", "/v1/admin/exec", ping()], status: 200 },
  { request: ["POST", "/v1/admin/exec", { agent_id: AGENT, command: "ping" }], status: 200 },
  { request: ["POST", "/v1/admin/exec", ping({ wait_s: 25 })], status: 200 },
  { request: ["POST", "/v1/admin/exec", ping({ wait_s: 26 })], status: 422, fields: ["wait_s"] },
  { request: ["POST", "/v1/admin/exec", ping({ wait_s: "5" })], status: 422, fields: ["wait_s"] },
  { request: ["POST", "/v1/admin/exec", ping({ params: [] })], status: 422, fields: ["params"] },
  { request: ["POST", "/v1/admin/exec", ping({ command: "rm" })], status: 422, fields: ["command"] },
  { request: ["POST", "/v1/admin/exec", ping({ params: { service: "-x" } })], status: 422, fields: ["params.service"] },
  { request: ["POST", "/v1/admin/exec", {}], status: 422, fields: ["agent_id", "command"] },
  { request: ["POST", "/v1/admin/exec", ping({ agent_id: "x" })], status: 422, fields: ["agent_id"] },
  { request: ["POST", "/v1/admin/exec", ping({ agent_id: UNKNOWN })], status: 404, code: "agent_not_found" },
  { request: ["POST", "/v1/admin/exec", ping({ agent_id: OFFLINE })], status: 409, code: "agent_offline" },
  { request: ["POST", "/v1/admin/exec", ping({ command: "host_report" })], status: 409, code: "command_open" },
  { request: ["GET", `/v1/commands/${uuid(101)}`], status: 200 },
  { request: ["GET", `/v1/commands/${UNKNOWN}`], status: 404, code: "command_not_found" },
  { request: ["GET", "/v1/commands/1"], status: 422, fields: ["id"] },
  { request: ["GET", `/v1/agents/${AGENT}/commands`], status: 200 },
  { request: ["GET", `/v1/agents/${UNKNOWN}/commands`], status: 404, code: "agent_not_found" },

  { request: ["POST", `/v1/agents/${AGENT}/rotate-token`, { grace_s: 3600 }], status: 200 },
  ...[-1, 604_801, 1.5, "1h"].map((grace_s) => ({
    request: ["POST", `/v1/agents/${AGENT}/rotate-token`, { grace_s }] as [string, string, unknown],
    status: 422,
    fields: ["grace_s"],
  })),
  { request: ["GET", "/v1/audit"], status: 200 },
  { request: ["GET", "/v1/audit?who=alice&what=token.*&from=10.0.0.7&incident_id=3&cursor=9&limit=5"], status: 200 },
  {
    request: ["GET", `/v1/audit?agent_id=${AGENT}&since=2026-01-01T00:00:00Z&until=2026-02-01T00:00:00Z`],
    status: 200,
  },
  ...["who=", "what=", "from=", "agent_id=x", "incident_id=x", "since=yesterday", "until=2026-01-01", "cursor=x"].map(
    (query) => ({
      request: ["GET", `/v1/audit?${query}`] as [string, string],
      status: 422,
      fields: [query.split("=")[0] ?? ""],
    }),
  ),
  { request: ["GET", "/v1/enrolments"], status: 200 },
  { request: ["POST", "/v1/enrolments", { uses: 50, until: LATER }], status: 201 },
  { request: ["POST", "/v1/enrolments", {}], status: 422, fields: ["uses", "until"] },
  { request: ["POST", "/v1/enrolments", { uses: 0, until: LATER }], status: 422, fields: ["uses"] },
  { request: ["POST", "/v1/enrolments", { uses: 10_001, until: LATER }], status: 422, fields: ["uses"] },
  { request: ["POST", "/v1/enrolments", { uses: 1, until: "2001-01-01T00:00:00Z" }], status: 422, fields: ["until"] },
  { request: ["POST", "/v1/enrolments", { uses: 1, until: null }], status: 422, fields: ["until"] },
  { request: ["DELETE", `/v1/enrolments/${UNKNOWN}`], status: 404, code: "enrolment_not_found" },

  { request: ["GET", "/v1/tokens"], status: 200 },
  { request: ["GET", "/v1/tokens?cursor=x"], status: 422, fields: ["cursor"] },
  { request: ["POST", "/v1/tokens", { name: "ci", role: "operator", expires_at: LATER, more: 1 }], status: 201 },
  { request: ["POST", "/v1/tokens", { name: "Jo Ann", role: "viewer", expires_at: null }], status: 201 },
  { request: ["POST", "/v1/tokens", { name: "the admin", role: "viewer" }], status: 409, code: "name_taken" },
  { request: ["POST", "/v1/tokens", { name: "ci", role: "root" }], status: 422, fields: ["role"] },
  { request: ["POST", "/v1/tokens", {}], status: 422, fields: ["name", "role"] },
  ...["", " ", "a@b", "a:b", "x".repeat(65), "-a", "a\n", "ä"].map((name) => ({
    request: ["POST", "/v1/tokens", { name, role: "viewer" }] as [string, string, unknown],
    status: 422,
    fields: ["name"],
  })),
  ...["2001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "tomorrow", "2030-01-01", 5].map((at) => ({
    request: ["POST", "/v1/tokens", { name: "ci", role: "viewer", expires_at: at }] as [string, string, unknown],
    status: 422,
    fields: ["expires_at"],
  })),
  { request: ["DELETE", `/v1/tokens/${uuid(700)}`], status: 204 },
  { request: ["DELETE", `/v1/tokens/${UNKNOWN}`], status: 404, code: "token_not_found" },
  { request: ["DELETE", "/v1/tokens/x"], status: 422, fields: ["id"] },

  { request: ["GET", "/nothing"], status: 404, code: "not_found" },
  { request: ["GET", "/v1/agents/a/b/c"], status: 404, code: "not_found" },
  { request: ["PUT", "/v1/agents"], status: 405, code: "method_not_allowed" },
  { request: ["POST", "/"], status: 405, code: "method_not_allowed" },
  { request: ["GET", "/v1/stream"], status: 426, code: "upgrade_required" },
];

const titled = CASES.map(
  (one) => [one.request.slice(0, 2).join(" "), JSON.stringify(one.request[2])?.slice(0, 60), one] as const,
);

describe("every route", () => {
  test.each(titled)("%s %s", async (_, __, { request: [method, path, body], status, code, fields }) => {
    const answer = await call(testApp(), method, path, { body });
    expect(answer.status).toBe(status);
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    if (status < 400) return;
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.json).toMatchObject({
      type: "about:blank",
      title: expect.any(String),
      status,
      detail: expect.any(String),
    });
    expect(answer.json.code).toBe(code ?? "invalid_request");
    if (fields) expect(answer.json.errors.map((one: { field: string }) => one.field)).toEqual(fields);
  });
});

describe("bodies that are no JSON", () => {
  test.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "",
  ])("as %p are refused", async (type) => {
    const options = { body: '{"hostname":"a"}', headers: { "content-type": type } };
    expect((await call(testApp(), "POST", "/v1/agents", options)).json.code).toBe("unsupported_media_type");
  });

  test("may name their character set", async () => {
    const options = { body: {}, headers: { "content-type": "Application/JSON; charset=utf-8" } };
    expect((await call(testApp(), "POST", "/v1/agents", options)).status).toBe(201);
  });
});

describe("answers", () => {
  test("have dates as text and no more than is declared", async () => {
    const { json } = await call(testApp(), "GET", `/v1/agents/${AGENT}`);
    expect(json).toEqual({
      id: AGENT,
      hostname: "host-1",
      status: "online",
      last_seen_at: "2026-01-02T03:04:05.678Z",
      version: null,
      outdated: false,
      meta: { os: "linux" },
      created_at: "2026-01-02T03:04:05.678Z",
      collectors: [],
      connected_at: null,
      shared_with: [],
    });
  });

  test("of new agents have the token, and the one command that installs them", async () => {
    const app = testApp();
    const { json } = await call(app, "POST", "/v1/agents", { body: { hostname: "web-1" } });
    const install = "curl -fsSL http://localhost/install.sh | sudo sh -s -- --token opa_new";
    expect(json).toMatchObject({ hostname: "web-1", status: "offline", token: "opa_new", install });
    const named = testApp({}, { publicUrl: "https://ops.example.com" });
    const rotated = await call(named, "POST", `/v1/agents/${AGENT}/rotate-token`, { body: {} });
    expect(rotated.json.install).toStartWith("curl -fsSL https://ops.example.com/install.sh | ");
    const body = { uses: 5, until: new Date(Date.now() + 86_400_000).toISOString() };
    const { token, install: enrol } = (await call(named, "POST", "/v1/enrolments", { body })).json;
    expect(enrol).toEndWith(`| sudo sh -s -- --enrol-token ${token}`);
    expect(app.agents.actors).toEqual(["api:local"]);
  });

  test("of an incident have its timeline", async () => {
    const { json } = await call(testApp(), "GET", "/v1/incidents/3");
    const entry = { at: "2026-01-02T03:04:05.678Z", kind: "opened", actor: "agent", data: null };
    expect(json).toMatchObject({ id: 3, status: "new", timeline: [entry] });
  });

  test("of a command that ended in time have its result", async () => {
    const { json } = await call(testApp(), "POST", "/v1/admin/exec", { body: ping({ wait_s: 5 }) });
    expect(json).toEqual({
      status: "sent",
      command_id: expect.any(String),
      result: {
        status: "done",
        exit_code: 0,
        output: "pong",
        error: null,
        duration_ms: 5,
        finished_at: "2026-01-02T03:04:05.678Z",
        late: false,
      },
    });
  });

  test("of a command that is on its way have none", async () => {
    const { json } = await call(testApp(), "POST", "/v1/admin/exec", { body: ping() });
    expect(json).toEqual({ status: "sent", command_id: expect.any(String) });
  });

  test("say when the server is not ready", async () => {
    const readiness = async () => ({ ready: false, checks: { database: "unavailable" } });
    const { status, json } = await call(testApp({ readiness }), "GET", "/readyz");
    expect(status).toBe(503);
    expect(json).toEqual({ status: "unavailable", checks: { database: "unavailable" } });
  });
});

describe("pages of a list", () => {
  test.each([
    ["/v1/agents?limit=1", 2],
    ["/v1/incidents?limit=1", 3],
    [`/v1/incidents?limit=1&agent_id=${AGENT}`, 2],
    ["/v1/incidents?status=new&limit=1", 2],
    [`/v1/agents/${AGENT}/incidents?limit=1`, 2],
    [`/v1/agents/${AGENT}/commands?limit=1`, 2],
  ])("of %s lead through all of it", async (first, total) => {
    const app = testApp();
    const ids: unknown[] = [];
    for (let path: string | undefined = first; path !== undefined; ) {
      const { status, json, headers } = await call(app, "GET", path);
      expect(status).toBe(200);
      expect(json).toHaveLength(1);
      ids.push(json[0].id);
      path = /^<(.+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
    }
    expect(new Set(ids).size).toBe(total);
  });
});

describe("surprises", () => {
  const broken = (): never => {
    throw new Error("the password is hunter2");
  };

  test("are a 500 that says nothing, and are logged", async () => {
    const agents = { ...fakeAgents([]), list: broken };
    const app = testApp({ agents });
    const { status, json, text } = await call(app, "GET", "/v1/agents");
    expect(status).toBe(500);
    expect(json.code).toBe("internal_error");
    expect(text).not.toContain("hunter2");
    expect(app.logged.join("")).toContain("hunter2");
  });

  test("do not include a database that is away", async () => {
    const away = Object.assign(new Error("write CONNECTION_CLOSED db:5432"), { code: "CONNECTION_CLOSED" });
    const noSocket = Object.assign(new Error("connect ENOENT /run/x"), { code: "ENOENT", syscall: "connect" });
    const standby = Object.assign(new Error("cannot execute UPDATE in a read-only transaction"), { code: "25006" });
    const diskFull = Object.assign(new Error("could not extend file"), { code: "53100" });
    for (const error of [away, noSocket, standby, diskFull, new Error("Failed query: select 1", { cause: away })]) {
      const list = () => Promise.reject(error);
      const app = testApp({ agents: { ...fakeAgents([]), list } });
      const { status, json, headers } = await call(app, "GET", "/v1/agents");
      expect([status, json.code, headers.get("retry-after")]).toEqual([503, "database_unavailable", "5"]);
      expect(json.detail).not.toMatch(/db:5432|select/);
    }
    const missingFile = Object.assign(new Error("open ENOENT"), { code: "ENOENT", syscall: "open" });
    const list = () => Promise.reject(missingFile);
    expect((await call(testApp({ agents: { ...fakeAgents([]), list } }), "GET", "/v1/agents")).status).toBe(500);
  });

  test("include an answer that breaks its own schema", async () => {
    const leaky = { ...agentOf(1), token_hash: "secret" };
    for (const agents of [fakeAgents([leaky]), fakeAgents([{ ...agentOf(1), status: "gone" as never }])]) {
      const { status, text } = await call(testApp({ agents }), "GET", "/v1/agents");
      expect(status).toBe(500);
      expect(text).not.toContain("secret");
    }
    const incidents = fakeIncidents([incidentOf(3, { id: "3" as never })]);
    expect((await call(testApp({ incidents }), "GET", "/v1/incidents")).status).toBe(500);
  });
});

test("silences come page by page, and are gone once they are ended", async () => {
  const { app } = testApp();
  const made = [];
  for (const source of ["a", "b", "c"])
    made.push(await call({ app }, "POST", "/v1/silences", { body: { source, until: LATER } }));
  expect(made[0]?.json).toMatchObject({
    id: 1,
    source: "a",
    agent: null,
    type: null,
    comment: null,
    until: LATER,
    ends: "time",
  });
  expect(made[0]?.json.actor).toBe("api:local");
  const first = await call({ app }, "GET", "/v1/silences?limit=2");
  expect(first.json.map(({ source }: { source: string }) => source)).toEqual(["c", "b"]);
  expect(first.headers.get("link")).toBe('</v1/silences?limit=2&cursor=2>; rel="next"');
  expect((await call({ app }, "DELETE", "/v1/silences/3")).status).toBe(204);
  expect((await call({ app }, "DELETE", "/v1/silences/3")).status).toBe(404);
  expect((await call({ app }, "GET", "/v1/silences")).json).toHaveLength(2);
  expect((await call({ app }, "GET", "/v1/silences?ended=true")).json).toHaveLength(3);
});
