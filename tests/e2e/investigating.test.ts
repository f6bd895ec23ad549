import { afterAll, beforeAll, expect, test } from "bun:test";
import { type FakeOpenRouter, GOOD_ANSWER, says, startFakeOpenRouter, wants } from "../support/fake-openrouter.ts";
import { Story, type StoryHost, shown } from "../support/host-story.ts";
import { rest } from "../support/rest.ts";
import { until } from "../support/until.ts";

const START_LIMIT_MS = 240_000;
const TEST_LIMIT_MS = 240_000;
const STEP_LIMIT_MS = 30_000;

let model: FakeOpenRouter;
let story: Story;
let host: StoryHost;

beforeAll(async () => {
  model = startFakeOpenRouter();
  story = await Story.start({ OPENROUTER_BASE_URL: model.baseUrl, AI_AUTO: "off" });
  host = await story.host({});
}, START_LIMIT_MS);

afterAll(async () => {
  await story?.stop();
  await model?.stop();
}, START_LIMIT_MS);

test(
  "two executables and a model: the cause stands in another unit's log, and is named after the model has looked there",
  async () => {
    const evidence = "PANIC: could not write to file pg_wal: No space left on device";
    host.systemd.setUnit("postgresql.service", { ActiveState: "failed", SubState: "failed" });
    host.systemd.writeAs("postgresql.service", evidence);
    model.behave(
      wants({ name: "list_units", arguments: { failed: true } }),
      wants({ name: "get_logs", arguments: { unit: "postgresql", lines: 20 } }),
      says(
        JSON.stringify({
          ...GOOD_ANSWER,
          category: "disk_full",
          cause: "The database's disk is full.",
          evidence: [evidence],
        }),
      ),
    );
    host.systemd.failUnit("shop.service", "shop: connecting to 127.0.0.1:5432", "shop: giving up after 5 tries");
    const { id, message } = await host.announced("shop.service");
    expect((await story.get(`/v1/incidents/${id}`)).analysis.category).not.toBe("disk_full");

    const asked = await rest(story.server.url, `/v1/incidents/${id}/investigate`, {});
    expect(asked.status).toBe(202);
    const isNamed = async () => {
      const incident = await story.get(`/v1/incidents/${id}`);
      return incident.analysis.by === "model" && incident;
    };
    const incident = await until(isNamed, { ms: STEP_LIMIT_MS, what: "the model's answer" });
    expect(incident.analysis).toMatchObject({
      category: "disk_full",
      decisive: evidence,
      model: { evidence: [evidence] },
    });
    const { investigations } = await story.get(`/v1/incidents/${id}/analysis`);
    expect(investigations[0].steps.map(({ tool }: { tool: string }) => tool)).toEqual(["list_units", "get_logs"]);
    await story.shows(message, /The database's disk is full/);
    await until(() => story.threadOf(message).some((text) => text.includes("It names: The database's disk is full.")), {
      ms: STEP_LIMIT_MS,
      what: "the steps in the thread",
    });
    expect(story.threadOf(message)).toHaveLength(1);
    expect(host.changes()).toEqual([]);
    expect(shown(message)).not.toContain("not known");
  },
  TEST_LIMIT_MS,
);
