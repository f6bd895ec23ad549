import { expect, test } from "bun:test";
import { claimAt, groupsIn, nameOf } from "../../src/oidc/claims.ts";

const CLAIMS = {
  sub: "7",
  groups: ["a", "b"],
  "https://example.com/groups": ["c"],
  realm_access: { roles: ["d"] },
  resource_access: { "ops.pilot": { roles: ["e"] }, opspilot: { roles: ["f"] } },
  projects: { operator: { "1": "example.com" }, viewer: {} },
  "urn:a.b": "g",
};

test.each([
  ["groups", ["a", "b"]],
  ["https://example.com/groups", ["c"]],
  ["realm_access.roles", ["d"]],
  ["resource_access.opspilot.roles", ["f"]],
  ["projects", ["operator", "viewer"]],
  ["urn:a.b", ["g"]],
  ["realm_access.groups", []],
  ["groups.length", []],
  ["sub.length", []],
  ["toString", []],
  ["constructor.name", []],
  ["__proto__", []],
  ["", []],
])("the groups of the claim %s are found", (name, groups) => {
  expect(groupsIn(claimAt(CLAIMS, name))).toEqual(groups);
});

test.each(["ADMIN_TOKEN\u3164", "admin_token\u115f", "\u2800ADMIN_TOKEN", "\uff21DMIN_TOKEN"])(
  "a name that looks like another's is none: %j",
  (name) => {
    expect(nameOf({ sub: "s-1", preferred_username: name, email: "ana@example.com" }, ["ADMIN_TOKEN"])).toBe(
      "ana@example.com",
    );
  },
);
