import { describe, expect, test } from "bun:test";
import { brotliDecompressSync } from "node:zlib";
import { checkBudgets, PAGE_BUDGETS, pageCosts } from "../../src/build/web-pack.ts";
import { findPage } from "../../src/http/page/pack.ts";
import { call, TOKEN_ACCESS, testApp } from "../support/http-app.ts";

const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; " +
    "manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; " +
    "require-trusted-types-for 'script'; trusted-types opspilot",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

const ADDRESSES = ["/app", "/app/", "/app/incidents", "/app/incidents/3", "/app/hosts/a%2Fb", "/app/nothing/is/here"];

/** What the HTML loads. */
async function firstAssets(): Promise<string[]> {
  const { text } = await call(testApp(), "GET", "/app");
  return [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => path);
}

/** The body as it is sent: a browser's own fetch would undo the encoding. */
async function body(
  path: string,
  acceptEncoding: string,
): Promise<[encoding: string | null, bytes: Uint8Array<ArrayBuffer>]> {
  const headers: Record<string, string> = acceptEncoding === "" ? {} : { "accept-encoding": acceptEncoding };
  const answer = await testApp().app.handle(new Request(`http://localhost${path}`, { headers }));
  expect([answer.status, answer.headers.get("vary")]).toEqual([200, "Accept-Encoding"]);
  return [answer.headers.get("content-encoding"), new Uint8Array(await answer.arrayBuffer())];
}

describe("the page", () => {
  test.each(ADDRESSES)("is the same HTML for everybody at %s", async (path) => {
    const shell = await call(testApp(), "GET", "/app");
    const answer = await call(testApp({}, { access: TOKEN_ACCESS }), "GET", path);
    expect([answer.status, answer.text]).toEqual([200, shell.text]);
    expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(answer.headers.get("cache-control")).toBe("no-cache");
  });

  test("is asked for anew each time, and sent only when it changed", async () => {
    const etag = (await call(testApp(), "GET", "/app")).headers.get("etag") ?? "";
    for (const known of [etag, `"other", ${etag}`, "*"]) {
      const answer = await call(testApp(), "GET", "/app/hosts", { headers: { "if-none-match": known } });
      expect([answer.status, answer.text, answer.headers.get("etag")]).toEqual([304, "", etag]);
      expect(answer.headers.toJSON()).toMatchObject(HEADERS);
    }
    expect((await call(testApp(), "GET", "/app", { headers: { "if-none-match": 'W/"other"' } })).status).toBe(200);
  });

  test("loads files that are kept for good, and no others", async () => {
    const paths = await firstAssets();
    expect(paths.length).toBeWithin(2, 4);
    for (const path of paths) {
      const answer = await call(testApp({}, { access: TOKEN_ACCESS }), "GET", path);
      expect([path, answer.status]).toEqual([path, 200]);
      expect(path).toMatch(/^\/app\/[a-z-]+-[a-z0-9]{8}\.(js|css|svg)$/);
      expect(answer.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
      expect(answer.headers.toJSON()).toMatchObject(HEADERS);
    }
  });

  test.each([
    ["", null],
    ["identity", null],
    ["zstd", null],
    ["gzip, deflate, br, zstd", "br"],
    ["gzip", "gzip"],
    ["br;q=0.5, gzip;q=0.8", "gzip"],
    ["br;q=0, gzip;q=0", null],
    ["*", "br"],
    ["br;q=0, *;q=0.1", "gzip"],
    ["GZIP", "gzip"],
    [";;;q=,", null],
  ])("for a browser that takes %p comes as %p", async (acceptEncoding, expected) => {
    for (const path of ["/app", ...(await firstAssets())]) {
      const [, plain] = await body(path, "identity");
      const [encoding, bytes] = await body(path, acceptEncoding);
      expect(encoding).toBe(expected);
      if (encoding === null) expect(bytes).toEqual(plain);
      else
        expect(new Uint8Array(encoding === "br" ? brotliDecompressSync(bytes) : Bun.gunzipSync(bytes))).toEqual(plain);
    }
  });

  test.each([
    ["GET", "/app/index-00000000.js", {}, 404],
    ["GET", "/app/..%2fpackage.json", {}, 404],
    ["GET", "/app/index.html.br", {}, 404],
    ["POST", "/app", {}, 405],
    ["POST", "/app/incidents/3", {}, 405],
    ["DELETE", "/app", {}, 405],
    ["GET", "/app", { origin: "http://evil.example.com" }, 403],
    ["GET", "/app", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }, 403],
    ["GET", "/app", { host: "evil.example.com" }, 403],
    ["GET", "/app", { via: "1.1 proxy" }, 403],
  ] as [string, string, Record<string, string>, number][])(
    "answers %s %s with %p by %i",
    async (method, path, headers, status) => {
      const answer = await call(testApp(), method, path, { headers });
      expect([answer.status, answer.headers.get("content-type")]).toEqual([status, "application/problem+json"]);
      expect(answer.headers.get("cache-control")).toBe("no-store");
      expect(answer.headers.toJSON()).toMatchObject(HEADERS);
    },
  );

  test("is what a link on another site may lead to, and nothing else is", async () => {
    const headers = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
    for (const access of [TOKEN_ACCESS, undefined]) {
      const app = testApp({}, access && { access });
      for (const path of ADDRESSES) expect((await call(app, "GET", path, { headers })).status).toBe(200);
      for (const path of ["/application", "/v1/session", "/v1/incidents", "/apps/x"])
        expect((await call(app, "GET", path, { headers })).status).toBe(403);
      expect((await call(app, "POST", "/app", { headers })).status).toBe(403);
    }
  });

  test("that cannot be had is an error, and is looked for again", async () => {
    let asked = 0;
    const app = testApp({
      findPage: async () => {
        if (asked++ === 0) throw new Error("there is no disk");
        return findPage();
      },
    });
    const broken = await call(app, "GET", "/app");
    expect([broken.status, broken.json.code]).toEqual([500, "internal_error"]);
    expect(broken.headers.toJSON()).toMatchObject(HEADERS);
    expect(app.logged.join()).toContain("there is no disk");
    expect((await call(app, "GET", "/app")).status).toBe(200);
    expect((await call(app, "GET", "/app")).status).toBe(200);
    expect(asked).toBe(2);
  });
});

describe("the root", () => {
  const VARY: Record<number, string> = { 200: "Accept, Accept-Encoding", 303: "Accept" };

  test.each([
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 303],
    ["text/html", 303],
    ["*/*", 200],
    ["application/json", 200],
    ["text/html;q=0, */*", 200],
    [null, 200],
  ])("leads Accept %p by %i", async (accept, status) => {
    const headers: Record<string, string> = accept === null ? {} : { accept };
    for (const access of [TOKEN_ACCESS, undefined]) {
      const answer = await call(testApp({}, access && { access }), "GET", "/", { headers });
      expect([answer.status, answer.headers.get("vary")]).toEqual([status, VARY[status] ?? null]);
      expect(answer.headers.get("location")).toBe(status === 303 ? "/app" : null);
      if (status === 200) expect(answer.json.service).toBe("opspilot");
    }
  });
});

describe("the page's budgets", () => {
  test("are kept by the sources as they are", async () => {
    const costs = pageCosts(await findPage());
    expect(() => checkBudgets(costs)).not.toThrow();
    expect(costs.scriptBeforeFirstRow).toBeGreaterThan(10_000);
    expect(costs.firstLoadBrotli).toBeGreaterThan(5_000);
    expect(costs.withChartsBrotli).toBeGreaterThanOrEqual(costs.firstLoadBrotli);
  });

  test.each(["firstLoadBrotli", "withChartsBrotli", "scriptBeforeFirstRow"] as const)(
    "fail the build when %s is exceeded",
    (name) => {
      expect(() => checkBudgets({ ...PAGE_BUDGETS })).not.toThrow();
      const costs = { ...PAGE_BUDGETS, [name]: PAGE_BUDGETS[name] + 1 };
      expect(() => checkBudgets(costs)).toThrow(`${name} is ${PAGE_BUDGETS[name] + 1} bytes of ${PAGE_BUDGETS[name]}`);
    },
  );

  test("count what scripts import before they run, and of what they import later the largest", () => {
    const file = (contentType: string, text: string) => {
      const bytes = new TextEncoder().encode(text);
      return {
        contentType,
        etag: "",
        bodies: { br: bytes.subarray(0, bytes.length / 2), gzip: bytes, identity: bytes },
      };
    };
    const texts: Record<string, string> = {
      "entry.js": 'import "./shared.js";import("./charts.js");import("./later.js");',
      "shared.js": 'import "/app/deep.js";',
      "deep.js": "deep()",
      "charts.js": 'import "./entry.js";import "./axes.js";charts()',
      "axes.js": "axes()",
      "later.js": "later()",
      "stream-worker-1.js": "work()",
    };
    const html = file("text/html", '<script src="/app/entry.js"></script>');
    const scripts = Object.entries(texts).map(([name, text]) => [name, file("text/javascript", text)] as const);
    const total = (names: string[], part = 1) =>
      names.reduce((sum, name) => sum + Math.floor((texts[name]?.length ?? 0) / part), 0);
    const before = ["entry.js", "shared.js", "deep.js", "stream-worker-1.js"];
    const firstLoadBrotli = html.bodies.br.length + total(before, 2);
    expect(pageCosts({ shell: html, assets: new Map(scripts) })).toEqual({
      firstLoadBrotli,
      withChartsBrotli: firstLoadBrotli + total(["charts.js", "axes.js"], 2),
      scriptBeforeFirstRow: total(before),
    });
  });
});
