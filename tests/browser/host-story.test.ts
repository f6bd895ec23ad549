import { afterAll, beforeAll, describe, expect } from "bun:test";
import type { Page } from "playwright-core";
import { browserTest, openPage } from "../support/browser.ts";
import { Story, type StoryHost } from "../support/host-story.ts";
import { DESKTOP, live, PHONE } from "../support/page-world.ts";

const START_LIMIT_MS = 240_000;
const TEST_LIMIT_MS = 240_000;
/** Until what one window shows is in the other. */
const OTHER_WINDOW_MS = 1_000;
const IN_USE = "listen tcp 0.0.0.0:80: bind: Address already in use";

/** A word about the restart, and when it was there. */
interface Said {
  readonly text: string;
  readonly atMs: number;
}

describe("a restart on a host with a real agent, as two windows show it", () => {
  let story: Story;
  beforeAll(async () => {
    story = await Story.start();
  }, START_LIMIT_MS);
  afterAll(() => story?.stop(), START_LIMIT_MS);

  /** Notes each text of the outcome, from now on. */
  function listenTo(page: Page): Promise<void> {
    return page.evaluate(() => {
      const said: { text: string; atMs: number }[] = [];
      Object.assign(globalThis, { said });
      new MutationObserver(() => {
        const text = document.querySelector(".outcome")?.textContent ?? "";
        if (text !== "" && said.at(-1)?.text !== text) said.push({ text, atMs: Date.now() });
      }).observe(document, { subtree: true, childList: true, characterData: true });
    });
  }

  /** The word stands there, and another one did since it was pressed: it is not that of the last time. */
  const isSaidAnew = (end: string) => {
    const { said } = globalThis as unknown as { said: { text: string }[] };
    const from = said.findIndex(({ text }) => !text.startsWith(end));
    return from >= 0 && said.slice(from).some(({ text }) => text.startsWith(end));
  };

  const saidBy = (page: Page) => page.evaluate(() => (globalThis as unknown as { said: Said[] }).said);
  const firstAt = (said: readonly Said[], word: string) => said.find(({ text }) => text.startsWith(word))?.atMs ?? 0;

  /** Presses Restart on the phone; answers what both windows said until the word stood in both. */
  async function restart(host: StoryHost, unit: string, id: number, end: string, lastTime: RegExp): Promise<Said[][]> {
    const url = `${story.server.url}/app/incidents/${id}`;
    await using phone = await openPage(url, { viewport: PHONE });
    await using desktop = await openPage(url, { viewport: DESKTOP });
    const pages = [phone.page, desktop.page];
    await Promise.all(pages.map(live));
    await Promise.all(pages.map(listenTo));
    const before = host.changes().length;
    await phone.page.getByRole("region", { name: "Actions" }).getByRole("button", { name: "Restart" }).click();
    const sheet = phone.page.getByRole("dialog", { name: `Restart ${unit} on ` });
    await sheet.getByText(`systemctl restart ${unit}`).waitFor();
    await sheet.getByText(lastTime).waitFor();
    expect(host.changes()).toHaveLength(before);
    await sheet.getByRole("button", { name: "Restart now" }).click();
    await Promise.all(pages.map((page) => page.waitForFunction(isSaidAnew, end)));
    expect(host.changes().slice(before)).toEqual([["--no-ask-password", "restart", "--", unit]]);
    expect([...phone.problems, ...desktop.problems]).toEqual([]);
    return Promise.all(pages.map(saidBy));
  }

  /** Both told the same steps, the other window at most a second later, and by whom it was pressed. */
  function expectTold(said: readonly Said[][], steps: readonly string[]): void {
    const [own = [], other = []] = said;
    for (const step of steps) {
      const [ownMs, otherMs] = [firstAt(own, step), firstAt(other, step)];
      expect({ step, isTold: ownMs > 0 && otherMs > 0 }).toEqual({ step, isTold: true });
      expect(otherMs - ownMs).toBeLessThan(OTHER_WINDOW_MS);
    }
    expect(other.filter(({ text }) => !text.endsWith(" · by somebody at 127.0.0.1"))).toEqual([]);
  }

  browserTest(
    "it runs, is checked with the seconds that are left, and holds",
    async () => {
      // Well only after so long that one sees it being checked.
      const host = await story.host({ OPSPILOT_ALLOW: "restart_service:web", OPSPILOT_RECOVERY: "5s" });
      host.systemd.failUnit("web.service", IN_USE);
      const { id } = await host.incident("web.service");
      const said = await restart(
        host,
        "web.service",
        id,
        "Holds",
        /^Nobody has restarted it for this problem before\.$/,
      );
      expectTold(said, ["Checking", "Holds"]);
      expect(said[0]?.[0]?.text).toMatch(/^(Sending the restart|Sent) /);
      for (const one of said) {
        expect(one.some(({ text }) => /^Checking exit 0 in \d+(\.\d+)? s · \d+ s left · by/.test(text))).toBe(true);
        expect(one.at(-1)?.text).toMatch(/^Holds active again after \d+ s · exit 0 in /);
      }
      expect((await story.get(`/v1/incidents/${id}`)).status).toBe("resolved");

      host.systemd.failUnit("web.service", IN_USE);
      const next = await host.incident("web.service", 2);
      const heldBefore = /The last time, .* ago by somebody at 127\.0\.0\.1: active again after \d+ s/;
      expectTold(await restart(host, "web.service", next.id, "Holds", heldBefore), ["Checking", "Holds"]);
    },
    TEST_LIMIT_MS,
  );

  browserTest(
    "it runs, fails again, and the next who presses is told so first",
    async () => {
      const host = await story.host({ OPSPILOT_ALLOW: "restart_service:broken" });
      host.systemd.breakUnit("broken.service", "no such file: broken.conf");
      const { id } = await host.incident("broken.service");
      const never = /^Nobody has restarted it for this problem before\.$/;
      const said = await restart(host, "broken.service", id, "Failed again", never);
      expectTold(said, ["Failed again"]);
      for (const one of said) expect(one.at(-1)?.text).toMatch(/^Failed again after \d+ s .*exit 0 in /);
      const failedBefore = /The last time, .* ago by somebody at 127\.0\.0\.1: failed again after \d+ s/;
      await restart(host, "broken.service", id, "Failed again", failedBefore);
    },
    TEST_LIMIT_MS,
  );
});
