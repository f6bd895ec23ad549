import { expect } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { findBarriers, findSmallTargets, sidewaysPx } from "./axe.ts";
import { type OpenedPage, openPage } from "./browser.ts";
import { DESKTOP, live, PHONE, SCREENSHOTS } from "./page-world.ts";

/** A view in a state: where it is, how it comes about, and what shows that it is there. */
export interface Scene {
  readonly name: string;
  readonly path: string;
  readonly shown: string;
  readonly prepare?: (page: Page) => Promise<unknown>;
  readonly act?: (page: Page) => Promise<unknown>;
  /** What the browser itself says of it. */
  readonly isTold?: RegExp;
}

/** A phone and a desktop. */
export const SIZES = [
  { name: "phone", viewport: PHONE },
  { name: "desktop", viewport: DESKTOP },
] as const;

/** A phone and a desktop that go from scene to scene: a new browser for each scene would take longer than looking does. */
export interface Looker extends AsyncDisposable {
  /** Takes a picture of the scene by day and by night on each, and expects that nothing is in anybody's way there. */
  lookAt(url: string, scene: Scene): Promise<void>;
}

export async function openLooker(): Promise<Looker> {
  const eyes = await Promise.all(SIZES.map(async ({ name, viewport }) => ({ name, ...(await openEye(viewport)) })));
  return {
    async lookAt(url, scene) {
      await Promise.all(
        eyes.map((eye) => eye.at(url, scene, ({ page }) => checkLooks(page, `${scene.name}-${eye.name}`))),
      );
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(eyes.map((eye) => eye[Symbol.asyncDispose]()));
    },
  };
}

/** A page that shows one scene after the other, each as if it were the first. */
export async function openEye(viewport: { width: number; height: number }) {
  const opened = await openPage("about:blank", { viewport, reducedMotion: "reduce" });
  const { page, problems } = opened;
  return {
    async at(url: string, { prepare, path, act, shown, ...scene }: Scene, look: (opened: OpenedPage) => Promise<void>) {
      const known = problems.length;
      try {
        await prepare?.(page);
        await page.goto(url + path);
        if (act) {
          await live(page);
          await act(page);
        }
        await page.locator(shown).first().waitFor();
        await look(opened);
        const unexpected = problems.slice(known).filter((one) => scene.isTold?.test(one) !== true);
        expect({ scene: scene.name, unexpected }).toEqual({ scene: scene.name, unexpected: [] });
      } finally {
        await forget(page);
      }
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

/** Also where a scene failed: the next one is not to suffer from it. */
async function forget(page: Page): Promise<void> {
  if (page.url().startsWith("http"))
    await page.evaluate(() => {
      localStorage.clear();
      sessionStorage.clear();
    });
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.goto("about:blank");
}

/** The pictures of a page by day and by night, kept for whoever looks, and what axe, thumbs and narrow screens have against it. */
export async function checkLooks(page: Page, name: string): Promise<void> {
  await mkdir(SCREENSHOTS, { recursive: true });
  // By night nothing but the colours is another.
  for (const [colorScheme, rules] of [
    ["light", undefined],
    ["dark", ["color-contrast"]],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    const look = `${name}-${colorScheme}`;
    await page.screenshot({ path: join(SCREENSHOTS, `${look}.png`) });
    expect({ look, barriers: await findBarriers(page, rules) }).toEqual({ look, barriers: [] });
  }
  const found = { small: await findSmallTargets(page), sideways: await sidewaysPx(page) };
  expect({ name, ...found }).toEqual({ name, small: [], sideways: 0 });
}

/** The page asks and gets no answer. */
export const unanswered = (path: RegExp) => (page: Page) => page.route(path, () => undefined);

/** The page asks and is refused, in the server's words. */
export function refused(path: RegExp, status: number, detail: string) {
  const body = JSON.stringify({ type: "about:blank", title: "x", status, detail, code: "x" });
  return (page: Page) =>
    page.route(path, (route) => route.fulfill({ status, contentType: "application/problem+json", body }));
}
