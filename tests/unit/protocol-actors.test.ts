import { expect, test } from "bun:test";
import { actorName, apiActor, readActor, requestActor } from "../../src/protocol/actors.ts";

test.each([
  ["api:10.0.0.7", "api", null, "10.0.0.7"],
  ["api:2001:db8::1", "api", null, "2001:db8::1"],
  ["api:alice@10.0.0.7", "api", "alice", "10.0.0.7"],
  ["api:Jo Ann@2001:db8::1", "api", "Jo Ann", "2001:db8::1"],
  ["oidc:ana@example.com@10.0.0.7", "oidc", "ana@example.com", "10.0.0.7"],
  ["oidc:a:b@2001:db8::1", "oidc", "a:b", "2001:db8::1"],
  ["oidc:10.0.0.7", "oidc", null, "10.0.0.7"],
  ["slack:U012AB3CD", "slack", "U012AB3CD", null],
  ["cli:me@host", "cli", "me@host", null],
  ["agent", "agent", null, null],
  ["model", "model", null, null],
])("%s is read in its parts", (actor, way, name, address) => {
  expect(readActor(actor)).toEqual({ way, name, address });
  if (way === "api") expect(apiActor(name, address ?? "")).toBe(actor);
  if (way === "oidc") expect(requestActor(way, name, address ?? "")).toBe(actor);
});

test.each([
  ["api:alice@10.0.0.7", "alice"],
  ["api:10.0.0.7", "somebody at 10.0.0.7"],
  ["oidc:ana@example.com@10.0.0.7", "ana@example.com"],
  ["slack:U012AB3CD", "slack:U012AB3CD"],
  ["system", "system"],
])("%s is told as %s", (actor, name) => {
  expect(actorName(actor)).toBe(name);
});
