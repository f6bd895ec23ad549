import { afterAll, beforeAll, describe, expect } from "bun:test";
import type { Page } from "playwright-core";
import { sidewaysPx } from "../support/axe.ts";
import { browserTest, hasBrowser, openPage } from "../support/browser.ts";
import { addMinutes, presentMinute, range } from "../support/figures.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { addIncident } from "../support/incident-rows.ts";
import { checkLooks, type Eye, openEye, refused, type Scene, unanswered } from "../support/looks.ts";
import { DESKTOP, type PageWorld, PHONE, startPageWorld, unitAlert } from "../support/page-world.ts";
import type { StandInHost } from "../support/stand-in-host.ts";
import { until } from "../support/until.ts";

const GIB = 2 ** 30;
const FIGURES = {
  cpu_pct: 23,
  load1: 0.7,
  mem_used_bytes: 11 * GIB,
  mem_total_bytes: 16 * GIB,
  disks: [{ mount: "/", used_bytes: 95 * GIB, total_bytes: 100 * GIB }],
};
/** The number of the incident that is looked at: three are past. */
const NGINX = 4;
const SCENE_LIMIT_MS = 240_000;

const openHost = (name: string) => (page: Page) => page.getByRole("link", { name }).click();

/** Each view: how it looks with something in it, and what it asks the server for. */
const VIEWS: readonly (Scene & { asks: RegExp })[] = [
  { name: "now", path: "/app", shown: "a.row", asks: /incidents\/counts/ },
  { name: "incidents", path: "/app/incidents", shown: "a.row", asks: /incidents\?/ },
  { name: "incident", path: `/app/incidents/${NGINX}`, shown: ".past-list li", asks: /v1\/incidents\/4$/ },
  { name: "hosts", path: "/app/hosts", shown: "a.host-row", asks: /agents\?/ },
  { name: "host", path: "/app/hosts", shown: ".chart figcaption", act: openHost("web-1"), asks: /v1\/agents\/[^/?]+$/ },
  { name: "silences", path: "/app/silences", shown: ".card .held", asks: /silences\?/ },
  { name: "settings", path: "/app/settings", shown: ".setup-part", asks: /setup$/ },
];

/** What each view is before its first answer, without one, and where the server does not let it. */
const TROUBLES: readonly Scene[] = VIEWS.flatMap(({ asks, name, ...view }) => [
  { ...view, name: `${name}-loading`, shown: ".is-loading", prepare: unanswered(asks) },
  {
    ...view,
    name: `${name}-failed`,
    shown: ".is-failed button",
    prepare: refused(asks, 503, "the database cannot be reached, or takes nothing just now; try again"),
    isTold: /503/,
  },
  {
    ...view,
    name: `${name}-refused`,
    shown: ".is-failed button",
    prepare: refused(asks, 403, "open access is for requests to localhost alone"),
    isTold: /403/,
  },
]);

/** What a restart comes to, each on a unit of its own: in numbers after those of cron. */
const RESTARTS = [
  ["nginx-checked", "verifying", null],
  ["nginx-well", "verified", "restarted by @ana, active again after 2 s"],
  ["nginx-broken", "failed_again", "restarted, failed again after 3 s (failed/failed)"],
  ["nginx-lost", "no_answer", "the host did not answer in time"],
] as const;

const MORE: readonly Scene[] = [
  ...RESTARTS.map(([source], at) => ({
    name: `incident-${source.replace("nginx", "restart")}`,
    path: `/app/incidents/${NGINX + 3 + at}`,
    shown: ".outcome",
  })),
  { name: "incidents-none-fits", path: "/app/incidents?q=nothing+is+like+this", shown: ".is-empty" },
  {
    name: "incidents-selected",
    path: "/app/incidents",
    shown: ".bulk",
    act: (page) => page.locator(".row-box").first().click(),
  },
  {
    name: "incident-restart",
    path: `/app/incidents/${NGINX}`,
    shown: "dialog[open]",
    act: (page) => page.getByRole("button", { name: "Restart" }).click(),
  },
  {
    name: "incident-more",
    path: `/app/incidents/${NGINX}`,
    shown: "dialog[open]",
    act: (page) => page.getByRole("button", { name: /^More/ }).click(),
  },
  {
    name: "incident-before",
    path: `/app/incidents/${NGINX}`,
    shown: ".past-list li",
    act: (page) => page.locator(".past-list").last().scrollIntoViewIfNeeded(),
  },
  { name: "incident-missing", path: "/app/incidents/999", shown: ".is-missing", isTold: /404/ },
  { name: "hosts-none-fits", path: "/app/hosts?q=nothing+is+like+this", shown: ".is-empty" },
  { name: "hosts-silent", path: "/app/hosts?status=offline", shown: "a.host-row" },
  { name: "host-silent", path: "/app/hosts", shown: ".facts", act: openHost("old-1") },
  { name: "host-missing", path: `/app/hosts/${crypto.randomUUID()}`, shown: ".is-missing", isTold: /404/ },
  { name: "silence-new", path: "/app/silences?new&source=nginx", shown: "dialog[open] .preview li" },
  { name: "keys", path: "/app", shown: "dialog[open] .keys", act: (page) => page.keyboard.press("?") },
  { name: "no-such-page", path: "/app/nowhere", shown: ".is-missing" },
];

/** Where there is nothing, and that is well: one host, on which nothing is open. */
const QUIET: readonly Scene[] = [
  { name: "now-quiet", path: "/app", shown: ".sentence.is-quiet" },
  { name: "incidents-none", path: "/app/incidents", shown: ".is-empty" },
  { name: "host-quiet", path: "/app/hosts", shown: "li.figure", act: openHost("web-1") },
  { name: "silences-none", path: "/app/silences", shown: ".is-empty" },
];

const EMPTY: readonly Scene[] = [
  { name: "no-host-yet", path: "/app", shown: ".welcome" },
  { name: "hosts-none", path: "/app/hosts", shown: ".is-empty" },
];

describe("each view, in each state, by day and by night, on a phone and on a desktop", () => {
  const worlds: PageWorld[] = [];
  let [full, signIn, quiet, empty]: PageWorld[] = [];
  let eye: Eye;

  async function start(env: Record<string, string> = {}): Promise<PageWorld> {
    const world = await startPageWorld(env);
    worlds.push(world);
    return world;
  }

  beforeAll(async () => {
    full = await start();
    signIn = await start({ ADMIN_TOKEN, ACCESS: "token" });
    quiet = await start();
    empty = await start();
    await quiet.host("web-1", { metrics: () => FIGURES });
    await fill(full);
    await quiet.agentId("web-1");
    if (hasBrowser()) eye = await openEye();
  }, 180_000);
  afterAll(async () => {
    await eye?.[Symbol.asyncDispose]();
    await Promise.all(worlds.map((world) => world[Symbol.asyncDispose]()));
  }, 180_000);

  const urlOf = (world: PageWorld | undefined) => world?.server.url ?? "";
  const look = (world: PageWorld | undefined, scene: Scene) =>
    eye.at(urlOf(world), scene, ({ page }) => checkLooks(page, scene.name));
  for (const scene of [...VIEWS, ...TROUBLES, ...MORE])
    browserTest(scene.name, () => look(full, scene), SCENE_LIMIT_MS);
  for (const scene of QUIET) browserTest(scene.name, () => look(quiet, scene), SCENE_LIMIT_MS);
  for (const scene of EMPTY) browserTest(scene.name, () => look(empty, scene), SCENE_LIMIT_MS);

  for (const { name, path } of VIEWS.filter(({ act }) => !act)) {
    const scene = { name: `${name}-signed-out`, path, shown: ".sign-in[open]", isTold: /401/ };
    browserTest(scene.name, () => look(signIn, scene), SCENE_LIMIT_MS);
  }

  browserTest("a phone has a way back from an incident that is not there, or does not load", async () => {
    for (const path of ["/app/incidents/999?status=resolved", `/app/incidents/${NGINX}?status=resolved`]) {
      await using opened = await openPage("about:blank", { viewport: PHONE });
      const { page } = opened;
      await refused(/v1\/incidents\/4$/, 503, "the database cannot be reached")(page);
      await page.goto(urlOf(full) + path);
      await page.getByRole("link", { name: "Back to the list" }).click();
      await page.waitForURL("**/app/incidents?status=resolved");
    }
  });

  browserTest("charts take the colours of the night as it falls", async () => {
    await using opened = await openPage(`${urlOf(full)}/app/hosts`, { viewport: DESKTOP, colorScheme: "light" });
    const { page } = opened;
    await openHost("web-1")(page);
    const drawn = () =>
      page
        .locator(".chart canvas")
        .first()
        .evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
    await page.locator(".chart").first().scrollIntoViewIfNeeded();
    await page.locator(".chart canvas").first().waitFor();
    const day = await drawn();
    await page.emulateMedia({ colorScheme: "dark" });
    await until(async () => (await drawn()) !== day, { what: "the chart is drawn anew" });
    await page.emulateMedia({ colorScheme: "light" });
    await until(async () => (await drawn()) === day, { what: "the chart is as by day" });
  });

  browserTest("nothing is pushed sideways where a view is opened on the narrowest phone", async () => {
    await using eye = await openEye({ width: 320, height: 480 });
    for (const scene of VIEWS)
      await eye.at(urlOf(full), scene, async ({ page }) => {
        const { name } = scene;
        expect({ name, sideways: await sidewaysPx(page) }).toEqual({ name, sideways: 0 });
      });
  });
});

const CHECKS = [
  { name: "https://shop.example.com/a/long/path/that/goes/on", up: false, for_s: 300, said: "HTTP 502 Bad Gateway" },
  { name: "mail", up: true, took_ms: 41, certificate_ends: 1_800_000_000 },
];

/** Hosts that are well, blind and gone; incidents of each kind, one with a past; and a silence. */
async function fill(world: PageWorld): Promise<void> {
  const seeing = { state: "sees", for_s: 3_600 };
  const blind = { state: "cannot", for_s: 60, why: "/var/run/docker.sock: permission denied" };
  const collectors = { systemd: seeing, docker: blind, checks: seeing };
  const web = await world.host("web-1", { metrics: () => FIGURES, collectors, facts: { checks: CHECKS } });
  const db = await world.host("db-1", { metrics: () => FIGURES });
  const past = await addPast(world);
  await web.fail(unitAlert("nginx"));
  await db.fail(unitAlert("postgresql@16-main", { severity: "warning", message: "a long message ".repeat(30) }));
  await db.fail(unitAlert("cron", { severity: "info", logs: "" }));
  await world.database.database.sql`
    update incidents set fingerprint = (select fingerprint from incidents where id = ${NGINX}) where id = any(${past})`;
  const present = await presentMinute(world.database);
  const wave = (minute: number) => 40 + 30 * Math.sin(minute / 9);
  await addMinutes(world.database, await world.agentId("web-1"), range(present - 150, present - 3), wave);
  const app = await world.host("app-1");
  for (const [source, state, outcome] of RESTARTS) await addRestart(world, app, { source, state, outcome });
  await world.server.api("/v1/silences", { method: "POST", body: { source: "cron", comment: "it is known" } });
  const gone = await world.host("old-1");
  await world.agentId("old-1");
  gone.close();
}

/** An incident after a press of Restart, as far as that came. */
async function addRestart(
  world: PageWorld,
  host: StandInHost,
  { source, state, outcome }: { source: string; state: string; outcome: string | null },
): Promise<void> {
  const { sql } = world.database.database;
  await host.fail(unitAlert(source));
  const agent = await world.agentId("app-1");
  const command = crypto.randomUUID();
  const [{ id } = { id: 0 }] = await sql<{ id: number }[]>`select id from incidents where source = ${source}`;
  await sql`
    insert into commands (id, agent_id, incident_id, command, params, target, actor, status, ttl_s, exit_code, duration_ms,
      sent_at, finished_at, expires_at)
    values (${command}, ${agent}, ${id}, 'restart_service', ${sql.json({ service: source })}, ${source}, 'slack:U1', 'done', 60,
      0, 412, now(), now(), now())`;
  await sql`
    insert into decisions (id, incident_id, action, actor, actor_name, outlet, state, outcome, command_id, carried_out_at, ended_at)
    values (${crypto.randomUUID()}, ${id}, 'restart', 'slack:U1', '@ana', 'slack', ${state}, ${outcome}, ${command}, now(),
      ${state === "verifying" ? null : sql`now()`})`;
}

/** What was before on web-1, and once on db-1. Answers those of web-1. */
async function addPast(world: PageWorld): Promise<number[]> {
  const { sql } = world.database.database;
  const web = await world.agentId("web-1");
  const past = { resolvedAgoS: 3_600, source: "nginx", category: "port_conflict" };
  const failed = await addIncident(world.database, web, past);
  const held = await addIncident(world.database, web, past);
  const elsewhere = await addIncident(world.database, await world.agentId("db-1"), past);
  await sql`update incidents set created_at = now() - interval '3 hours' where id = any(${[failed, held, elsewhere]})`;
  for (const [id, state, outcome] of [
    [failed, "failed_again", "restarted, failed again after 3 s"],
    [held, "verified", "restarted by @ana, active again after 2 s"],
  ] as const)
    await sql`
      insert into decisions (id, incident_id, action, actor, actor_name, outlet, state, outcome, requested_at)
      values (${crypto.randomUUID()}, ${id}, 'restart', 'slack:U1', '@ana', 'slack', ${state}, ${outcome}, now() - interval '3 hours')`;
  return [failed, held];
}
