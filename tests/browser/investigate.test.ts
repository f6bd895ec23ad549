import { afterAll, beforeAll, describe, expect } from "bun:test";
import { browserTest } from "../support/browser.ts";
import { type FakeOpenRouter, GOOD_ANSWER, says, startFakeOpenRouter, wants } from "../support/fake-openrouter.ts";
import { live, type PageWorld, PHONE, startPageWorld, unitAlert } from "../support/page-world.ts";

describe("a model that looks for itself", () => {
  let model: FakeOpenRouter;
  let world: PageWorld;
  beforeAll(async () => {
    model = startFakeOpenRouter();
    world = await startPageWorld({ OPENROUTER_BASE_URL: model.baseUrl, AI_AUTO: "off" });
  }, 180_000);
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await model?.stop();
  }, 180_000);

  browserTest("is sent from the sheet, and its steps are shown as it takes them", async () => {
    const answering = Promise.withResolvers<void>();
    const cause = "The certificate of the upstream has expired.";
    model.behave(wants({ name: "get_logs", arguments: { unit: "nginx" } }), async (request, signal) => {
      await answering.promise;
      return says(JSON.stringify({ ...GOOD_ANSWER, cause }))(request, signal);
    });
    const host = await world.host("web-1", { logs: () => "what the host's log says" });
    await host.fail(unitAlert("nginx"));
    const { body } = await world.server.api("/v1/incidents?view=short&status=open&q=nginx");
    await using opened = await world.open(`/app/incidents/${body[0].id}`, { viewport: PHONE });
    const { page, problems } = opened;
    await live(page);
    await page.getByRole("button", { name: /^More/ }).click();
    await page
      .getByRole("dialog")
      .getByRole("button", { name: /^Investigate/ })
      .click();
    await page.getByText("What was sent to a model").click();
    await page.getByText("a model looked for itself · running").waitFor();
    await page.getByText("what the host's log says", { exact: true }).waitFor();
    answering.resolve();
    await page.getByText("a model looked for itself · done").waitFor();
    await page.getByRole("heading", { name: cause }).waitFor();
    await page.getByText("Explained by a model that looked into it").waitFor();
    expect(problems).toEqual([]);
  });
});
