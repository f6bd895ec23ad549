import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../../src/config/settings.ts";
import { loadConfig } from "../../src/config.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-oidc-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const load = (env: Record<string, string>) => loadConfig({}, { env, cwd: folder, uid: 1000, home: "/home/me" });

function mistakesOf(env: Record<string, string>): ConfigError {
  try {
    load(env);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("the settings were accepted");
}

const namesOf = ({ mistakes }: ConfigError) => mistakes.map(({ setting }) => setting);

describe("the settings of sign-in by OpenID Connect", () => {
  test("are read", () => {
    const secret = join(folder, "secret");
    writeFileSync(secret, "a-secret\n");
    const config = load({
      ADMIN_TOKEN,
      PUBLIC_URL: "https://ops.example.com/",
      OIDC_ISSUER: "https://id.example.com/realms/ops/",
      OIDC_CLIENT_ID: "opspilot",
      OIDC_CLIENT_SECRET_FILE: secret,
      OIDC_ROLES: "ops-admins:admin, team:a b : operator,*:viewer,",
    });
    expect(config.oidc).toEqual({
      issuer: "https://id.example.com/realms/ops/",
      clientId: "opspilot",
      clientSecret: "a-secret",
      roles: [
        { group: "ops-admins", role: "admin" },
        { group: "team:a b", role: "operator" },
        { group: "*", role: "viewer" },
      ],
      groupsClaim: "groups",
      scopes: null,
      name: "single sign-on",
      url: "https://ops.example.com/v1/session/oidc",
      redirectUri: "https://ops.example.com/v1/session/oidc/callback",
    });
  });

  test("need others, all of which are named at once", () => {
    const OIDC_ISSUER = "https://id.example.com";
    const missing = ["OIDC_CLIENT_ID", "OIDC_ROLES", "PUBLIC_URL", "ADMIN_TOKEN"];
    expect(namesOf(mistakesOf({ OIDC_ISSUER }))).toEqual(missing);
    expect(namesOf(mistakesOf({ OIDC_ISSUER, ACCESS: "open" }))).toEqual([...missing, "ACCESS"]);
    for (const name of ["OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_ROLES"])
      expect(namesOf(mistakesOf({ [name]: "a:admin" }))).toEqual(["OIDC_ISSUER"]);
  });

  test.each([
    ["OIDC_ISSUER", "http://id.example.com"],
    ["OIDC_ISSUER", "https://me:hunter2@id.example.com"],
    ["OIDC_ISSUER", "https://id.example.com/.well-known/openid-configuration"],
    ["OIDC_ISSUER", "https://id.example.com/?a=b"],
    ["OIDC_ROLES", "sre"],
    ["OIDC_ROLES", ":admin"],
    ["OIDC_ROLES", "sre:root"],
    ["OIDC_ROLES", " , "],
    ["OIDC_SCOPES", "profile email"],
    ["OIDC_NAME", "x".repeat(41)],
    ["OIDC_CLIENT_SECRET", "two hunter2"],
  ])("are refused where nobody can sign in by them: %s=%s", (name, value) => {
    const error = mistakesOf({
      ADMIN_TOKEN,
      PUBLIC_URL: "https://ops.example.com",
      OIDC_ISSUER: "http://127.0.0.1:9000",
      OIDC_CLIENT_ID: "opspilot",
      OIDC_ROLES: "a:admin",
      [name]: value,
    });
    expect(namesOf(error)).toEqual([name]);
    expect(error.message).not.toContain("hunter2");
  });
});
