import { expect } from "bun:test";
import type { Page } from "playwright-core";
import { findBarriers, findSmallTargets, sidewaysPx } from "./axe.ts";
import { type OpenedPage, openPage } from "./browser.ts";
import { DESKTOP, live, PHONE, takePicture } from "./page-world.ts";
import { until } from "./until.ts";

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

/** A desktop, and then a phone: what goes when it gets narrow need not be loaded. */
const SIZES = [
  { name: "desktop", viewport: DESKTOP },
  { name: "phone", viewport: PHONE },
] as const;
/** A page at 200 % on a small desktop, and the narrowest phone. */
const NARROW = [640, 320] as const;

/** What `openEye` opens. */
export type Eye = Awaited<ReturnType<typeof openEye>>;

/** A page that shows one scene after the other, each as if it were the first: a new browser for each would take longer than looking. */
export async function openEye(viewport: { width: number; height: number } = DESKTOP) {
  const opened = await openPage("about:blank", { viewport, reducedMotion: "reduce" });
  const { page, problems } = opened;
  return {
    async at(url: string, { prepare, path, act, shown, ...scene }: Scene, look: (opened: OpenedPage) => Promise<void>) {
      const known = problems.length;
      try {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme: "light" });
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

/**
 * What axe, thumbs and narrow screens have against a page that stands there on a desktop, and then on a phone, by day and by night;
 * with pictures for whoever wants to look.
 */
export async function checkLooks(page: Page, name: string): Promise<void> {
  for (const size of SIZES) {
    await resize(page, size.viewport);
    await checkSize(page, `${name}-${size.name}`);
  }
  for (const width of NARROW) {
    await resize(page, { width, height: 480 });
    await until(async () => (await sidewaysPx(page)) === 0, { what: `${name} fits into ${width} px` });
  }
}

/** Gives the page another size, and waits for two frames: it is told in the first, and shows in the second what it makes of it. */
async function resize(page: Page, size: { width: number; height: number }): Promise<void> {
  await page.setViewportSize(size);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

async function checkSize(page: Page, name: string): Promise<void> {
  // By night nothing but the colours is another.
  for (const [colorScheme, rules] of [
    ["light", undefined],
    ["dark", ["color-contrast"]],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    const look = `${name}-${colorScheme}`;
    await takePicture(page, look);
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
