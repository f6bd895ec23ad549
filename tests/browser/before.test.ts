import { afterAll, beforeAll, describe, expect } from "bun:test";
import { browserTest, openPage } from "../support/browser.ts";
import { addIncident } from "../support/incident-rows.ts";
import { live, type PageWorld, startPageWorld, unitAlert } from "../support/page-world.ts";

describe("what was before", () => {
  let world: PageWorld;
  beforeAll(async () => {
    world = await startPageWorld();
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

  /** An incident of the past whose restart ended so. */
  async function past(agent: string, state: string, outcome: string, given: object): Promise<number> {
    const id = await addIncident(world.database, agent, { resolvedAgoS: 3_600, ...given });
    await world.database.database.sql`
      insert into decisions (id, incident_id, action, actor, actor_name, outlet, state, outcome)
      values (${crypto.randomUUID()}, ${id}, 'restart', 'slack:U1', '@ana', 'slack', ${state}, ${outcome})`;
    return id;
  }

  browserTest("is told by an incident: when, what was done, and whether it held, here and on other hosts", async () => {
    const host = await world.host("web-1");
    await world.host("web-2");
    await host.fail(unitAlert("nginx"));
    const [incident] = (await world.server.api("/v1/incidents?q=nginx")).body;
    await world.server.api(`/v1/incidents/${incident.id}`, { method: "PATCH", body: { status: "resolved" } });
    const { fingerprint, agent_id: web1 } = incident;
    const failed = await past(web1, "failed_again", "restarted, failed again after 3 s", { fingerprint });
    const held = await past(web1, "verified", "restarted by @ana, active again after 2 s", { fingerprint });
    const category = { category: "port_conflict", source: "nginx" };
    const elsewhere = await past(
      await world.agentId("web-2"),
      "verified",
      "restarted, active again after 9 s",
      category,
    );
    await host.fail(unitAlert("nginx"));
    const [{ id }] = (await world.server.api("/v1/incidents?status=open&q=nginx")).body;

    await using opened = await world.open(`/app/incidents/${id}`);
    const { page, problems } = opened;
    await live(page);
    const before = page.getByRole("region", { name: "The same before" });
    await before.getByText("Of the last 2 restarts, 1 held.").waitFor();
    const lines = await before.getByRole("listitem").allTextContents();
    expect(lines[0]).toMatch(
      new RegExp(`^#${held}, .* ago, over after .*Restart held · active again after 2 s · by @ana$`),
    );
    expect(lines.some((line) => line.includes(`#${failed}`) && line.includes("Restart failed again · after 3 s"))).toBe(
      true,
    );
    expect(lines.some((line) => line.includes(`#${incident.id}`) && line.includes("Nobody decided anything"))).toBe(
      true,
    );
    await before.getByRole("heading", { name: "On other hosts" }).waitFor();
    expect(lines.some((line) => line.startsWith(`#${elsewhere} on web-2, `))).toBe(true);
    await page.getByRole("button", { name: "Restart" }).click();
    await page
      .getByRole("dialog")
      .getByText(/The last time, .* ago by @ana: active again after 2 s/)
      .waitFor();
    expect(problems).toEqual([]);
  });

  browserTest("cannot be loaded: the restart says so, and does not claim that there was none", async () => {
    const host = await world.host("web-3");
    await host.fail(unitAlert("nginx-blind"));
    const [{ id }] = (await world.server.api("/v1/incidents?q=nginx-blind")).body;
    await using opened = await openPage("about:blank");
    const { page } = opened;
    await page.route(/\/history$/, (route) => route.abort());
    await page.goto(`${world.server.url}/app/incidents/${id}`);
    await live(page);
    await page.getByText("Could not load what was before").waitFor();
    await page.getByRole("button", { name: "Restart" }).click();
    await page.getByRole("dialog").getByText("What came of it the last time could not be loaded.").waitFor();
  });
});
