import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { OidcSettings } from "../../src/config/oidc.ts";
import { direct } from "../../src/lib/bounded-fetch.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import { checkOidc } from "../../src/oidc/doctor.ts";
import { createProvider } from "../../src/oidc/provider.ts";
import { createSeal } from "../../src/oidc/seal.ts";
import { createOidc } from "../../src/oidc/service.ts";
import { createOidcStore } from "../../src/oidc/store.ts";
import { createSessions } from "../../src/sessions/service.ts";
import { createSessionStore } from "../../src/sessions/store.ts";
import { createTestClock } from "../support/clock.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { startHttpProxy } from "../support/http-proxy.ts";
import { type Lie, startLyingProvider } from "../support/lying-provider.ts";
import { createTestBrowser } from "../support/oidc-browser.ts";
import { CLIENTS, startTestProvider, type TestProvider } from "../support/oidc-provider.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

const BEGIN = "http://ops.test/v1/session/oidc";
const CALLBACK = `${BEGIN}/callback`;
const NEW_BROWSER = { browser: undefined, returnTo: "/app", formerSession: null };

let provider: TestProvider;
let liar: ReturnType<typeof startLyingProvider>;
let database: TestDatabase;

beforeAll(async () => {
  [provider, database] = [await startTestProvider([CALLBACK]), await createTestDatabase()];
  provider.accounts.set("7", { preferred_username: "ana@example.com", groups: ["sre"] });
  provider.account = "7";
  liar = startLyingProvider();
}, 180_000);

afterAll(async () => {
  await database?.close();
  await provider?.stop();
  await liar?.stop();
}, 60_000);

const isCallback = (url: URL) => url.href.startsWith(CALLBACK);

describe("a client of the provider", () => {
  const browserOf = () => createTestBrowser((url) => url.href);

  function settingsFor(client: { client_id: string; client_secret?: string | undefined }, more = {}): OidcSettings {
    return {
      issuer: provider.issuer,
      clientId: client.client_id,
      clientSecret: client.client_secret ?? null,
      roles: [{ group: "*", role: "viewer" }],
      groupsClaim: "groups",
      scopes: null,
      name: "Example",
      url: BEGIN,
      redirectUri: CALLBACK,
      ...more,
    };
  }

  function createNode(settings: OidcSettings, more: Partial<Parameters<typeof createProvider>[0]> = {}) {
    const clock = createSystemClock();
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const log = createLog({ level: "debug", readable: false, destination });
    const store = createOidcStore(database.database.sql);
    const seal = createSeal(ADMIN_TOKEN);
    const own = createProvider({ settings, proxyOf: direct, clock, ...more });
    return { oidc: createOidc({ settings, provider: own, store, seal, reservedNames: [], clock, log }), lines };
  }

  async function trip({ oidc }: ReturnType<typeof createNode>) {
    const beginning = await oidc.begin(NEW_BROWSER);
    if (!beginning.ok) return beginning;
    const answer = (await browserOf().walk(beginning.url.href, isCallback)).at(-1) as URL;
    return oidc.finish({ browser: beginning.browser, longPath: undefined, query: answer.search });
  }

  test.each(Object.entries(CLIENTS))("of the kind %s signs people in, whatever groups they have", async (_, client) => {
    const node = createNode(settingsFor(client));
    for (let n = 0; n < 2; n++) {
      expect(await trip(node)).toEqual({
        ok: true,
        person: { name: "ana@example.com", role: "viewer", subject: "7" },
        returnTo: "/app",
        formerSession: null,
      });
    }
  });

  test.each([
    ["a wrong secret", { client_id: CLIENTS.basic.client_id, client_secret: "of-somebody-else" }, {}],
    ["no secret where one is needed", { client_id: CLIENTS.basic.client_id }, {}],
    ["a wrong secret in a form", { client_id: CLIENTS.post.client_id, client_secret: "of-somebody-else" }, {}],
  ])("with %s signs nobody in, and the log says what to look at", async (_, client, more) => {
    const node = createNode(settingsFor(client, more));
    expect(await trip(node)).toEqual({ ok: false, reason: "failed", returnTo: "/app" });
    expect(node.lines.join("")).toContain("refuses OIDC_CLIENT_ID or OIDC_CLIENT_SECRET");
    expect(node.lines.join("")).not.toContain("of-somebody-else");
  });

  test("with another name for the provider learns what it calls itself", async () => {
    const issuer = provider.issuer.replace("127.0.0.1", "localhost");
    const node = createNode(settingsFor(CLIENTS.basic, { issuer }));
    expect(await node.oidc.begin(NEW_BROWSER)).toEqual({ ok: false, reason: "failed" });
    expect(node.lines.join("")).toContain(`calls itself \\"${provider.issuer}\\"`);
  });

  test("of a provider that is away asks it once for all who come, and is told apart by the doctor", async () => {
    const settings = settingsFor(CLIENTS.basic);
    await provider.pause();
    const clock = createTestClock();
    const node = createNode(settings, { clock });
    const begin = () => node.oidc.begin(NEW_BROWSER);
    try {
      for (const one of await Promise.all([begin(), begin(), begin()]))
        expect(one).toEqual({ ok: false, reason: "unreachable" });
      expect(await checkOidc(settings, direct)).toMatchObject({ status: "fail" });
    } finally {
      await provider.resume();
    }
    expect(await checkOidc(settings, direct)).toMatchObject({ status: "ok", text: expect.stringContaining(CALLBACK) });
    expect(await begin()).toEqual({ ok: false, reason: "unreachable" });
    clock.leap(5_000);
    expect(await begin()).toMatchObject({ ok: true });
    const asked = provider.asked.length;
    await Promise.all([begin(), begin(), begin()]);
    expect(provider.asked).toHaveLength(asked);
  });

  const now = () => Math.floor(Date.now() / 1000);
  const page = () => new Response("<html>", { headers: { "content-type": "text/html" } });
  const LIES: [string, () => Lie, "ok" | "failed" | "unreachable"][] = [
    ["the truth", () => ({}), "ok"],
    ["a clock that is a little behind", () => ({ claims: { exp: now() - 20 } }), "ok"],
    ["a clock that is a little ahead", () => ({ claims: { iat: now() + 20, nbf: now() + 20 } }), "ok"],
    ["a token that has expired", () => ({ claims: { exp: now() - 3_600 } }), "failed"],
    ["a token that is not good yet", () => ({ claims: { nbf: now() + 3_600 } }), "failed"],
    ["another client's token", () => ({ claims: { aud: "another" } }), "failed"],
    ["a token of several, given to another", () => ({ claims: { aud: ["opspilot", "x"], azp: "x" } }), "failed"],
    ["another provider's token", () => ({ claims: { iss: "https://evil.example.com" } }), "failed"],
    ["another sign-in's token", () => ({ claims: { nonce: "another" } }), "failed"],
    ["a token without a nonce", () => ({ claims: { nonce: undefined } }), "failed"],
    ["a token of nobody", () => ({ claims: { sub: undefined } }), "failed"],
    ["a token that somebody else signed", () => ({ isForged: true }), "failed"],
    ["a token that an unknown key signed", () => ({ header: { kid: "two" } }), "failed"],
    ["a token that nobody signed", () => ({ header: { alg: "none" } }), "failed"],
    ["a token by a secret that two share", () => ({ header: { alg: "HS256" } }), "failed"],
    [
      "no token",
      () => ({ answers: { "/token": () => Response.json({ access_token: "a", token_type: "Bearer" }) } }),
      "failed",
    ],
    ["a page", () => ({ answers: { "/token": page } }), "failed"],
    ["far too much", () => ({ answers: { "/token": () => new Response("x".repeat(2 ** 21)) } }), "failed"],
    ["a redirect", () => ({ answers: { "/token": () => Response.redirect("https://evil.example.com") } }), "failed"],
    ["an error of its own", () => ({ answers: { "/token": () => new Response("", { status: 502 }) } }), "unreachable"],
    ["nothing in time", () => ({ answers: { "/token": () => new Promise<Response>(() => undefined) } }), "unreachable"],
    ["no keys in time", () => ({ answers: { "/jwks": () => new Promise<Response>(() => undefined) } }), "unreachable"],
  ];
  test.each(LIES)("that is given %s is not deceived", async (_, lie, expected) => {
    // A busy machine may be late; who never answers is waited for.
    const callLimitMs = expected === "unreachable" ? 2_000 : 60_000;
    const node = createNode(settingsFor(CLIENTS.basic, { issuer: liar.issuer }), { callLimitMs });
    liar.tell({});
    const beginning = await node.oidc.begin(NEW_BROWSER);
    if (!beginning.ok) throw new Error(node.lines.join());
    liar.tell(lie());
    const { browser } = beginning;
    const ending = await node.oidc.finish({ browser, longPath: undefined, query: liar.approve(beginning.url) });
    if (expected === "ok") expect(ending).toMatchObject({ ok: true, person: { name: "ana", role: "viewer" } });
    else expect(ending).toEqual({ ok: false, reason: expected, returnTo: "/app" });
  });

  test("goes to the provider by the proxy that the settings name", async () => {
    const proxy = await startHttpProxy(undefined, { forwards: true });
    try {
      const node = createNode(settingsFor(CLIENTS.basic), { proxyOf: () => proxy.url });
      expect(await trip(node)).toMatchObject({ ok: true });
      const paths = proxy.requests.map(({ line }) => /^\w+ http:\/\/[^/]+(\/[^ ]*)/.exec(line)?.[1]);
      expect([...new Set(paths)].sort()).toEqual(["/.well-known/openid-configuration", "/jwks", "/me", "/token"]);
    } finally {
      proxy.stop();
    }
  });
});

test("sessions of people end where there is no provider any more", async () => {
  const store = createSessionStore(database.database.sql);
  const withOidc = createSessions({ store, adminToken: ADMIN_TOKEN, hasOidc: true });
  const { secret } = await withOidc.createFor({ name: "ana", role: "admin" });
  expect((await withOidc.find(secret))?.owner).toEqual({ by: "oidc", name: "ana", role: "admin" });
  const without = createSessions({ store, adminToken: ADMIN_TOKEN, hasOidc: false });
  expect(await without.find(secret)).toBeUndefined();
  // As releases looked for it that knew of tokens alone: it must not be taken for ADMIN_TOKEN's.
  const found = await database.database.sql`
    select from sessions s left join access_tokens t on t.id = s.token_id
    where s.person_name is not null and (s.token_id is null or t.id is not null)`;
  expect(found).toHaveLength(0);
});

test("answers that were taken are forgotten once they would be too late", async () => {
  const { sql } = database.database;
  const store = createOidcStore(sql);
  await sql`delete from oidc_sign_ins`;
  const endsMs = Date.now() + 600_000;
  const both = await Promise.all([store.take("one", endsMs), store.take("one", endsMs)]);
  expect(both.sort()).toEqual([false, true]);
  expect(await store.take("late", Date.now() - 600_000)).toBe(false);
  expect(await store.deleteOver()).toBe(0);
  await sql`update oidc_sign_ins set expires_at = now()`;
  expect(await store.deleteOver()).toBe(1);
});
