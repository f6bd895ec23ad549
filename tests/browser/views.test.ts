import { afterAll, beforeAll, describe, expect } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { findBarriers, findSmallTargets, sidewaysPx } from "../support/axe.ts";
import { browserTest, openPage } from "../support/browser.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { DESKTOP, live, type PageWorld, PHONE, SCREENSHOTS, startPageWorld, unitAlert } from "../support/page-world.ts";

const GIB = 2 ** 30;
const FIGURES = {
  cpu_pct: 23,
  load1: 0.7,
  mem_used_bytes: 11 * GIB,
  mem_total_bytes: 16 * GIB,
  disks: [{ mount: "/", used_bytes: 95 * GIB, total_bytes: 100 * GIB }],
};

/** A view in a state: where it is, how it comes about, and what shows that it is there. */
interface Scene {
  readonly name: string;
  readonly path: string;
  readonly shown: string;
  readonly prepare?: (page: Page) => Promise<unknown>;
  readonly act?: (page: Page) => Promise<unknown>;
  /** What the browser itself says of it. */
  readonly isTold?: RegExp;
}

function refuse(path: RegExp, status: number, detail: string) {
  const body = JSON.stringify({ type: "about:blank", title: "x", status, detail, code: "x" });
  return (page: Page) =>
    page.route(path, (route) => route.fulfill({ status, contentType: "application/problem+json", body }));
}

const SCENES: readonly Scene[] = [
  { name: "now", path: "/app", shown: "a.row" },
  { name: "now-loading", path: "/app", shown: ".is-loading", prepare: (page) => page.route(/counts/, () => undefined) },
  {
    name: "now-failed",
    path: "/app",
    shown: ".is-failed",
    prepare: refuse(/counts/, 500, "something went wrong on the server; its log says what"),
    isTold: /500/,
  },
  { name: "incidents", path: "/app/incidents", shown: "a.row" },
  { name: "incidents-none-fits", path: "/app/incidents?q=nothing+is+like+this", shown: ".is-empty" },
  {
    name: "incidents-failed",
    path: "/app/incidents",
    shown: ".is-failed",
    prepare: refuse(/incidents\?/, 503, "the database cannot be reached, or takes nothing just now; try again"),
    isTold: /503/,
  },
  {
    name: "incidents-refused",
    path: "/app/incidents",
    shown: ".is-failed",
    prepare: refuse(/incidents\?/, 403, "open access is for requests to localhost alone"),
    isTold: /403/,
  },
  {
    name: "incidents-selected",
    path: "/app/incidents",
    shown: ".bulk",
    act: (page) => page.locator(".row-box").first().click(),
  },
  { name: "incident", path: "/app/incidents/1", shown: ".cause-text" },
  {
    name: "incident-restart",
    path: "/app/incidents/1",
    shown: "dialog[open]",
    act: (page) => page.getByRole("button", { name: "Restart" }).click(),
  },
  {
    name: "incident-more",
    path: "/app/incidents/1",
    shown: "dialog[open]",
    act: (page) => page.getByRole("button", { name: /^More/ }).click(),
  },
  { name: "incident-missing", path: "/app/incidents/999", shown: ".is-missing", isTold: /404/ },
  { name: "hosts", path: "/app/hosts", shown: "a.host-row" },
  { name: "host", path: "/app/hosts", shown: ".facts", act: (page) => page.locator("a.host-row").first().click() },
  { name: "silences", path: "/app/silences", shown: ".card" },
  { name: "silence-new", path: "/app/silences?new&source=nginx", shown: "dialog[open] .preview li" },
  { name: "settings", path: "/app/settings", shown: ".setup-part" },
  { name: "keys", path: "/app", shown: "dialog[open] .keys", act: (page) => page.keyboard.press("?") },
  { name: "no-such-page", path: "/app/nowhere", shown: ".is-missing" },
];

const SIZES = [
  { name: "phone", viewport: PHONE },
  { name: "desktop", viewport: DESKTOP },
] as const;

describe("each view, in each state, by day and by night, on a phone and on a desktop", () => {
  let world: PageWorld;
  let signInWorld: PageWorld;
  let emptyWorld: PageWorld;

  beforeAll(async () => {
    await mkdir(SCREENSHOTS, { recursive: true });
    world = await startPageWorld();
    const seeing = { state: "sees", for_s: 3_600 };
    const blind = { state: "cannot", for_s: 60, why: "/var/run/docker.sock: permission denied" };
    const web = await world.host("web-1", { metrics: () => FIGURES, collectors: { systemd: seeing, docker: blind } });
    const db = await world.host("db-1", { metrics: () => FIGURES });
    await web.fail(unitAlert("nginx"));
    await db.fail(unitAlert("postgresql@16-main", { severity: "warning", message: "a long message ".repeat(30) }));
    await db.fail(unitAlert("cron", { severity: "info", logs: "" }));
    await world.server.api("/v1/silences", { method: "POST", body: { source: "cron", comment: "it is known" } });
    const gone = await world.host("old-1");
    gone.close();
    signInWorld = await startPageWorld({ ADMIN_TOKEN, ACCESS: "token" });
    emptyWorld = await startPageWorld();
  }, 120_000);
  afterAll(async () => {
    await Promise.all([world, signInWorld, emptyWorld].map((one) => one?.[Symbol.asyncDispose]()));
  }, 60_000);

  async function look(url: string, scene: Scene): Promise<void> {
    for (const { name, viewport } of SIZES) {
      for (const colorScheme of ["light", "dark"] as const) {
        await using opened = await openPage("about:blank", { viewport, colorScheme, reducedMotion: "reduce" });
        const { page, problems } = opened;
        await scene.prepare?.(page);
        await page.goto(url + scene.path);
        if (scene.act) {
          await live(page);
          await scene.act(page);
        }
        await page.locator(scene.shown).first().waitFor();
        await page.screenshot({ path: join(SCREENSHOTS, `${scene.name}-${name}-${colorScheme}.png`) });
        const where = { scene: scene.name, size: name, colorScheme };
        expect({ ...where, barriers: await findBarriers(page) }).toEqual({ ...where, barriers: [] });
        expect({ ...where, small: await findSmallTargets(page) }).toEqual({ ...where, small: [] });
        expect({ ...where, sideways: await sidewaysPx(page) }).toEqual({ ...where, sideways: 0 });
        const unexpected = problems.filter((one) => scene.isTold?.test(one) !== true);
        expect({ ...where, unexpected }).toEqual({ ...where, unexpected: [] });
      }
    }
  }

  for (const scene of SCENES) browserTest(scene.name, () => look(world.server.url, scene), 120_000);

  browserTest(
    "sign-in",
    () => look(signInWorld.server.url, { name: "sign-in", path: "/app", shown: ".sign-in[open]", isTold: /401/ }),
    120_000,
  );

  browserTest(
    "no-host-yet",
    () => look(emptyWorld.server.url, { name: "no-host-yet", path: "/app", shown: ".welcome" }),
    120_000,
  );

  browserTest(
    "nothing is pushed sideways on the narrowest phone, nor at 200 %",
    async () => {
      for (const width of [320, 640]) {
        await using opened = await openPage("about:blank", { viewport: { width, height: 480 } });
        for (const { name, path, shown, act } of SCENES.filter(({ prepare }) => !prepare)) {
          await opened.page.goto(world.server.url + path);
          if (act) {
            await live(opened.page);
            await act(opened.page);
          }
          await opened.page.locator(shown).first().waitFor();
          expect({ name, width, sideways: await sidewaysPx(opened.page) }).toEqual({ name, width, sideways: 0 });
        }
      }
    },
    180_000,
  );
});
