import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createSeal } from "../../src/oidc/seal.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { createTestBrowser, type TestBrowser } from "../support/oidc-browser.ts";
import { CLIENTS, startTestProvider, type TestProvider } from "../support/oidc-provider.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const PUBLIC_URL = "http://ops.test";
const BEGIN = `${PUBLIC_URL}/v1/session/oidc`;
const CALLBACK = `${BEGIN}/callback`;
const ROLES = "ops-admins:admin,sre:operator,team:a:viewer";

let provider: TestProvider;
let database: TestDatabase;
let nodes: [TestServer, TestServer];

beforeAll(async () => {
  [provider, database] = [await startTestProvider([CALLBACK]), await createTestDatabase()];
  const env = {
    ADMIN_TOKEN,
    PUBLIC_URL,
    OIDC_ISSUER: provider.issuer,
    OIDC_CLIENT_ID: CLIENTS.basic.client_id,
    OIDC_CLIENT_SECRET: CLIENTS.basic.client_secret,
    OIDC_ROLES: ROLES,
    OIDC_NAME: "Example",
  };
  nodes = [await startTestServer(database.url, env), await startTestServer(database.url, env)];
}, 180_000);

afterAll(async () => {
  for (const node of nodes ?? []) await node.stop();
  await database?.close();
  await provider?.stop();
}, 180_000);

beforeEach(() => {
  provider.accounts.clear();
  provider.accounts.set("7", { preferred_username: "ana@example.com", groups: ["sre", "everybody-else"] });
  provider.account = "7";
});

/** A browser before a load balancer: what begins on one node ends on the other. */
function browser(): TestBrowser {
  let turn = 0;
  return createTestBrowser((url) =>
    url.origin === PUBLIC_URL ? url.href.replace(PUBLIC_URL, nodes[turn++ % 2]?.url ?? "") : url.href,
  );
}

const isPage = (url: URL) => url.origin === PUBLIC_URL && url.pathname.startsWith("/app");
const isCallback = (url: URL) => url.href.startsWith(CALLBACK);

/** Signs in as far as the page; where the window is then. */
async function signIn(one: TestBrowser, returnTo?: string): Promise<URL> {
  const query = returnTo === undefined ? "" : `?return_to=${encodeURIComponent(returnTo)}`;
  return (await one.walk(BEGIN + query, isPage, PUBLIC_URL)).at(-1) as URL;
}

function ask(node: TestServer, one: TestBrowser, path: string, method = "GET", body: object = {}): Promise<Response> {
  const cookie = one.cookieFor(new URL(PUBLIC_URL + path));
  const headers = { origin: PUBLIC_URL, connection: "close", "content-type": "application/json", cookie };
  return fetch(node.url + path, { method, headers, ...(method === "GET" ? {} : { body: JSON.stringify(body) }) });
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks into answers without describing them first
const session = async (one: TestBrowser, node = nodes[0]): Promise<any> => (await ask(node, one, "/v1/session")).json();

const audit = (kind: string) => database.database.sql<{ actor: string; data: Record<string, unknown> }[]>`
  select actor, data from events where kind = ${kind} order by id desc`;

describe("signing in at a provider", () => {
  test("leads back to where one wanted to go, on any node, as a person with a role", async () => {
    const one = browser();
    const before = await session(one);
    expect(before).toMatchObject({ signed_in: false, signed_in_by: null, oidc: { name: "Example", url: BEGIN } });
    const visited = await one.walk(`${BEGIN}?return_to=%2Fapp%2Fincidents%2F5%3Fq%3Dweb`, isPage, PUBLIC_URL);
    expect(visited.at(-1)?.href).toBe(`${PUBLIC_URL}/app/incidents/5?q=web`);
    const asked = visited.find((url) => url.pathname === "/auth")?.searchParams;
    expect(Object.fromEntries(asked ?? [])).toMatchObject({
      scope: "openid profile email groups",
      response_type: "code",
      code_challenge_method: "S256",
      redirect_uri: CALLBACK,
    });
    // Whoever sees the address learns nothing of PKCE's verifier.
    const digest = new Bun.CryptoHasher("sha256").update(asked?.get("state") ?? "").digest("base64url");
    expect(new Set([asked?.get("state"), asked?.get("nonce"), asked?.get("code_challenge"), digest]).size).toBe(4);
    const me = { signed_in: true, role: "operator", name: "ana@example.com", signed_in_by: "oidc" };
    for (const node of nodes) expect(await session(one, node)).toMatchObject(me);
    expect((await ask(nodes[0], one, "/v1/agents")).status).toBe(200);
    expect((await ask(nodes[1], one, "/v1/agents", "POST")).status).toBe(403);
    const silence = { source: "nginx*", until: new Date(Date.now() + 3_600_000).toISOString() };
    const made = (await (await ask(nodes[1], one, "/v1/silences", "POST", silence)).json()) as { created_by?: string };
    expect(JSON.stringify(made)).toContain("oidc:ana@example.com@127.0.0.1");

    expect(await audit("session.started")).toMatchObject([
      { actor: "oidc:ana@example.com@127.0.0.1", data: { role: "operator", subject: "7" } },
    ]);
    const found = async (query: string) =>
      (await nodes[0].api(`/v1/audit?what=silence.*&${query}`, { token: ADMIN_TOKEN })).body;
    for (const query of ["who=ana@example.com", "from=127.0.0.1", "who=oidc:ana@example.com@127.0.0.1"])
      expect(await found(query)).toMatchObject([{ name: "ana@example.com", address: "127.0.0.1" }]);
    for (const query of ["who=ana", "who=example.com", "from=127.0.0.2"]) expect(await found(query)).toEqual([]);

    const cookie = one.cookieFor(new URL(`${PUBLIC_URL}/v1/agents`));
    expect((await ask(nodes[0], one, "/v1/session", "DELETE")).status).toBe(204);
    const headers = { cookie, connection: "close" };
    for (const { url } of nodes) expect((await fetch(`${url}/v1/agents`, { headers })).status).toBe(401);
    expect((await audit("session.ended"))[0]?.actor).toBe("oidc:ana@example.com@127.0.0.1");

    const code = visited.find(isCallback)?.searchParams.get("code") ?? "none";
    const secrets = [code, CLIENTS.basic.client_secret, cookie.split("=")[1] ?? "none"];
    const told =
      nodes.flatMap(({ log }) => log).join() + JSON.stringify(await database.database.sql`select * from sessions`);
    for (const secret of secrets) expect(told).not.toContain(secret);
    const kept = await database.database.sql<Record<string, string>[]>`select * from oidc_sign_ins`;
    expect(kept.map((row) => Object.keys(row))).toEqual([["state_hash", "expires_at"]]);
  });

  const PEOPLE: [string, Record<string, unknown>, string | null, string | null][] = [
    ["one group", { preferred_username: "bo", groups: ["sre"] }, "operator", "bo"],
    ["the highest of several", { preferred_username: "bo", groups: ["team:a", "ops-admins", "sre"] }, "admin", null],
    ["a group with a colon", { preferred_username: "bo", groups: ["team:a"] }, "viewer", null],
    ["a single group as text", { preferred_username: "bo", groups: "ops-admins" }, "admin", null],
    [
      "no preferred name",
      { email: "bo@example.com", email_verified: true, groups: ["sre"] },
      "operator",
      "bo@example.com",
    ],
    [
      "an address that nobody checked",
      { email: "x@example.com", email_verified: false, groups: ["sre"] },
      "operator",
      "9",
    ],
    ["a taken name", { preferred_username: "Admin_Token", groups: ["sre"] }, "operator", "9"],
    ["a name of tricks", { preferred_username: " b\u202eo\u0007\n ", groups: ["sre"] }, "operator", "b o"],
    ["a group in other letters", { preferred_username: "bo", groups: ["SRE", "ops-admins "] }, null, null],
    ["no group", { preferred_username: "bo", groups: [] }, null, null],
    ["no such claim", { preferred_username: "bo" }, null, null],
    ["groups that are none", { preferred_username: "bo", groups: [{ sre: true }, 7, null] }, null, null],
    ["the group * of its own", { preferred_username: "bo", groups: ["*", "operator", "admin"] }, null, null],
  ];
  test.each(PEOPLE)("with %s gives the role that the settings say", async (_, claims, role, name) => {
    provider.accounts.set("9", claims);
    provider.account = "9";
    const one = browser();
    const at = await signIn(one, "/app/hosts");
    const { signed_in, ...is } = await session(one);
    expect([signed_in, is.role]).toEqual([role !== null, role]);
    if (name !== null) expect(is.name).toBe(name);
    if (role === null) expect(at.href).toBe(`${PUBLIC_URL}/app/sign-in?sso=no_role&return_to=%2Fapp%2Fhosts`);
    else expect(at.pathname).toBe("/app/hosts");
  });

  test("without a role is a line of the audit trail, with the groups that one has", async () => {
    provider.accounts.set("8", { preferred_username: "eve", groups: ["sales", "staff"] });
    provider.account = "8";
    await signIn(browser());
    const lines = async () => (await audit("access.refused")).find(({ actor }) => actor === "oidc:eve@127.0.0.1");
    const line = await until(lines, { ms: 30_000 });
    expect(line.data).toMatchObject({ reason: "no_role", groups: "sales, staff", subject: "8", role: "none" });
  });

  test("that the person or the provider refuses is told so", async () => {
    provider.account = "refuses";
    const at = await signIn(browser(), "/app/hosts");
    expect(at.href).toBe(`${PUBLIC_URL}/app/sign-in?sso=denied&return_to=%2Fapp%2Fhosts`);
    await until(async () => (await audit("session.refused")).some(({ data }) => data.reason === "denied"));
  });

  test.each([
    "https://evil.example.com/app",
    "//evil.example.com/app",
    "/\\evil.example.com/app",
    "/app/../../evil",
    "/app/..//evil.example.com",
    "/v1/session/oidc",
    "/apple",
    "javascript:alert(1)",
    `/app?${"x".repeat(2_000)}`,
    "",
  ])("leads nowhere but into the page: not to %p", async (returnTo) => {
    expect((await signIn(browser(), returnTo)).href).toBe(`${PUBLIC_URL}/app`);
  });
});

describe("the provider's answer", () => {
  /** A browser that is about to bring it, and where it would. */
  async function begun(): Promise<{ one: TestBrowser; answer: URL }> {
    const one = browser();
    return { one, answer: (await one.walk(BEGIN, isCallback, PUBLIC_URL)).at(-1) as URL };
  }

  const bring = async (one: TestBrowser, answer: URL) => {
    const at = (await one.walk(answer.href, isPage, provider.issuer)).at(-1) as URL;
    return { sso: at.searchParams.get("sso"), isSignedIn: (await session(one)).signed_in };
  };

  function changed(url: URL, name: string, value: string | null): URL {
    const other = new URL(url);
    if (value === null) other.searchParams.delete(name);
    else other.searchParams.set(name, value);
    return other;
  }

  test("counts once", async () => {
    const { one, answer } = await begun();
    expect(await bring(one, answer)).toEqual({ sso: null, isSignedIn: true });
    await ask(nodes[0], one, "/v1/session", "DELETE");
    expect(await bring(one, answer)).toEqual({ sso: "expired", isSignedIn: false });
  });

  test("counts once of many at a time, too", async () => {
    const { one, answer } = await begun();
    const all = await Promise.all(Array.from({ length: 6 }, () => one.walk(answer.href, isPage, provider.issuer)));
    const reasons = all.map((visited) => visited.at(-1)?.searchParams.get("sso"));
    expect(reasons.filter((reason) => reason === null)).toHaveLength(1);
    expect(reasons.filter((reason) => reason === "expired")).toHaveLength(5);
  });

  test("counts in the browser alone that began, whatever others bring", async () => {
    const { one, answer } = await begun();
    for (const other of [browser(), (await begun()).one])
      expect(await bring(other, answer)).toEqual({ sso: "expired", isSignedIn: false });
    expect(await bring(one, answer)).toEqual({ sso: null, isSignedIn: true });
  });

  test("of two windows of one browser counts in both", async () => {
    const one = browser();
    const first = (await one.walk(BEGIN, isCallback, PUBLIC_URL)).at(-1) as URL;
    const second = (await one.walk(BEGIN, isCallback, PUBLIC_URL)).at(-1) as URL;
    for (const answer of [first, second]) expect(await bring(one, answer)).toEqual({ sso: null, isSignedIn: true });
  });

  test.each([
    ["another state", "state", "x".repeat(43), "expired"],
    ["no state", "state", null, "expired"],
    ["another code", "code", "made-up", "failed"],
    ["no code", "code", null, "failed"],
    ["another issuer", "iss", "https://evil.example.com", "failed"],
    ["no issuer", "iss", null, "failed"],
    ["far too much", "more", "x".repeat(9_000), null],
  ])("with %s: %s=%p is judged", async (_, name, value, sso) => {
    const { one, answer } = await begun();
    expect(await bring(one, changed(answer, name, value))).toEqual({ sso, isSignedIn: sso === null });
  });

  test.each([
    ["later than ten minutes", -1, {}, "expired"],
    ["with the nonce and PKCE's verifier of another", 60_000, {}, "failed"],
    ["sealed by another ADMIN_TOKEN", 60_000, { adminToken: `${ADMIN_TOKEN}2` }, "expired"],
    ["sealed for another browser", 60_000, { browser: "b".repeat(43) }, "expired"],
  ])("%s is refused", async (_, leftMs, other: { adminToken?: string; browser?: string }, sso) => {
    const { one, answer } = await begun();
    const own = /opspilot_oidc=([\w-]{43})/.exec(one.cookieFor(answer))?.[1] ?? "none";
    const signIn = { endsMs: Date.now() + leftMs, returnTo: { path: "/app" }, formerSession: null };
    const state = createSeal(other.adminToken ?? ADMIN_TOKEN).seal(signIn, other.browser ?? own);
    expect(await bring(one, changed(answer, "state", state))).toEqual({ sso, isSignedIn: false });
  });

  test("is known by its state to the letter: what only decodes to the same is none", async () => {
    const { one, answer } = await begun();
    expect(await bring(one, answer)).toEqual({ sso: null, isSignedIn: true });
    await ask(nodes[0], one, "/v1/session", "DELETE");
    const state = answer.searchParams.get("state") ?? "";
    for (const same of [`${state}=`, `${state} `, `${state}\n`])
      expect(await bring(one, changed(answer, "state", same))).toEqual({ sso: "expired", isSignedIn: false });
  });

  test("comes through a flood of sign-ins that nobody ends: nothing is kept of them", async () => {
    const { one, answer } = await begun();
    const { sql } = database.database;
    const rows = async () => (await sql`select from oidc_sign_ins`).count;
    const before = await rows();
    const flood = Array.from({ length: 600 }, (_, n) => begin(nodes[n % 2] as TestServer));
    expect(new Set(await Promise.all(flood))).toEqual(new Set([303]));
    expect(await rows()).toBe(before);
    expect(await bring(one, answer)).toEqual({ sso: null, isSignedIn: true });
  });

  async function begin(node: TestServer): Promise<number> {
    const answer = await fetch(`${node.url}/v1/session/oidc`, { redirect: "manual" });
    await answer.arrayBuffer();
    return answer.status;
  }

  test("comes back with a state that providers take, however long the way is", async () => {
    const [one, long] = [browser(), `/app?q=${"é;".repeat(150)}&host=web-1`];
    const { pathname, search } = new URL(long, PUBLIC_URL);
    const begin = async (returnTo: string) => {
      const walk = await one.walk(`${BEGIN}?return_to=${encodeURIComponent(returnTo)}`, isCallback, PUBLIC_URL);
      return walk.at(-1) as URL;
    };
    const answers = [
      await begin(`${long}&first`),
      await begin(`/app/incidents?q=${"x".repeat(70)}`),
      await begin(long),
    ];
    for (const answer of answers) expect(answer.searchParams.get("state")?.length).toBeLessThanOrEqual(255);
    const ends: string[] = [];
    for (const answer of answers) ends.push((await one.walk(answer.href, isPage, provider.issuer)).at(-1)?.href ?? "");
    // Of two long ways the browser keeps the last.
    const expected = ["/app", `/app/incidents?q=${"x".repeat(70)}`, pathname + search];
    expect(ends).toEqual(expected.map((path) => PUBLIC_URL + path));
  });

  test("ends the session that the browser had before, whose cookie does not come along", async () => {
    const one = browser();
    await signIn(one);
    const cookie = one.cookieFor(new URL(`${PUBLIC_URL}/v1/agents`));
    const status = async () =>
      (await fetch(`${nodes[0].url}/v1/agents`, { headers: { cookie, connection: "close" } })).status;
    const again = async () => (await one.walk(BEGIN, isCallback, PUBLIC_URL)).at(-1) as URL;
    await one.walk(changed(await again(), "code", "made-up").href, isPage, provider.issuer);
    expect(await status()).toBe(200);
    await one.walk((await again()).href, isPage, provider.issuer);
    expect(await status()).toBe(401);
    expect((await session(one)).signed_in).toBe(true);
  });

  test("comes by a navigation of the window, and nothing else of other sites does", async () => {
    const { answer } = await begun();
    const status = async (path: string, headers: Record<string, string>) =>
      (await fetch(nodes[0].url + path, { redirect: "manual", headers: { connection: "close", ...headers } })).status;
    const navigation = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
    const callback = answer.pathname + answer.search;
    expect(await status(callback, navigation)).toBe(303);
    expect(await status(callback, { ...navigation, "sec-fetch-dest": "iframe" })).toBe(403);
    expect(await status(callback, { ...navigation, "sec-fetch-mode": "no-cors" })).toBe(403);
    expect(await status(callback, { ...navigation, origin: provider.issuer })).toBe(403);
    expect(await status("/v1/session/oidc", navigation)).toBe(403);
    expect(await status("/v1/session/oidc", { ...navigation, "sec-fetch-site": "same-site" })).toBe(403);
    expect(await status("/v1/session/oidc", { ...navigation, "sec-fetch-site": "none" })).toBe(303);
  });

  test("that cannot be checked is no sign-in; with a token one signs in all the same", async () => {
    const { one, answer } = await begun();
    await provider.pause();
    try {
      expect(await bring(one, answer)).toEqual({ sso: "unreachable", isSignedIn: false });
      const token = { token: ADMIN_TOKEN };
      expect((await ask(nodes[0], one, "/v1/session", "POST", token)).status).toBe(204);
      const parts = (await nodes[0].api("/v1/setup?probe=true", { token: ADMIN_TOKEN })).body;
      const part = parts.find((known: { part: string }) => known.part === "single sign-on");
      expect(part).toMatchObject({ state: "fail", text: expect.stringContaining("127.0.0.1") });
    } finally {
      await provider.resume();
    }
  });
});
