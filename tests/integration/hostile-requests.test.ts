import { describe, expect, test } from "bun:test";
import { uuid } from "../support/fake-services.ts";
import { call, testApp } from "../support/http-app.ts";

const DEEP = `${'{"a":'.repeat(40)}1${"}".repeat(40)}`;
const WIDE = JSON.stringify({ hostname: "web-1", more: Array.from({ length: 12_000 }, () => 1) });

describe("what PostgreSQL would refuse is refused before, by the field's name:", () => {
  test.each([
    ["a NUL in a query", "GET", "/v1/incidents?q=nginx%00.service", undefined, "q"],
    ["a NUL in a filter", "GET", "/v1/incidents/counts?type=%00", undefined, "type"],
    ["a NUL in a pattern", "GET", "/v1/silences/fit?source=a%00", undefined, "source"],
    ["a NUL in a body", "POST", "/v1/agents", '{"hostname":"web\\u0000"}', "hostname"],
    ["half a character in a body", "POST", "/v1/silences", '{"source":"x","comment":"\\ud800"}', "comment"],
    [
      "a NUL deep in a body",
      "POST",
      "/v1/admin/exec",
      `{"agent_id":"${uuid(1)}","params":{"a":["\\u0000"]}}`,
      "params.a.0",
    ],
    ["a year before the first", "GET", "/v1/audit?since=0000-01-01T00:00:00Z", undefined, "since"],
    ["the same by its offset", "GET", "/v1/audit?until=0001-01-01T00:00:00%2B14:00", undefined, "until"],
    ["a year after the last", "GET", `/v1/agents/${uuid(1)}/metrics?to=9999-12-31T23:59:59-14:00`, undefined, "to"],
    ["a body that is too deep", "POST", "/v1/agents", DEEP, "body"],
    ["a body of too many values", "POST", "/v1/agents", WIDE, "body"],
  ])("%s", async (_, method, path, body, field) => {
    const answer = await call(testApp(), method, path, body === undefined ? {} : { body });
    expect(answer.status).toBe(422);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.json.errors.map((one: { field: string }) => one.field)).toEqual([field]);
  });

  test("what is only strange is taken", async () => {
    const body = '{"hostname":"w\\u00e9b \\ud83e\\udd8a"}';
    expect((await call(testApp(), "POST", "/v1/agents", { body })).json.hostname).toBe("wéb 🦊");
  });
});

test.each<Record<string, string>>([{}, { "sec-websocket-key": "short", "sec-websocket-version": "13" }])(
  "what is half of a WebSocket's beginning is a problem like any other: %p",
  async (more) => {
    const headers = { upgrade: "websocket", connection: "Upgrade", ...more };
    const answer = await call(testApp(), "GET", "/v1/stream", { headers });
    expect([answer.status, answer.json?.code]).toEqual([400, "bad_upgrade"]);
  },
);

describe("no header is made by what a request holds:", () => {
  const BREAKS = [
    "a%0d%0ax-injected:%20yes",
    "%0ax-injected:yes",
    "a%0d%0a%0d%0a<script>",
    "%e5%98%8a%e5%98%8dx-injected:yes",
  ];
  test.each(BREAKS)("a list's Link, asked for with %s", async (value) => {
    const answer = await call(testApp(), "GET", `/v1/incidents?limit=1&unknown=${value}&${value}=1`);
    expect(answer.headers.get("link")).toMatch(/^<\/v1\/incidents\?[\x21-\x7e]+>; rel="next"$/);
    expect(answer.headers.has("x-injected")).toBeFalse();
  });

  test.each(BREAKS)("a refusal of /v1/%s", async (value) => {
    const answer = await call(testApp(), "GET", `/v1/${value}`);
    expect(answer.status).toBe(404);
    expect(answer.headers.has("x-injected")).toBeFalse();
  });
});
