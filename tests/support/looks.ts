import { expect } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { findBarriers, findSmallTargets, sidewaysPx } from "./axe.ts";
import { openPage } from "./browser.ts";
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

/** Takes a picture of the scene by day and by night, on a phone and on a desktop, and expects that nothing is in anybody's way there. */
export async function lookAt(url: string, scene: Scene): Promise<void> {
  await Promise.all(SIZES.map((size) => lookOn(url, scene, size)));
}

async function lookOn(url: string, scene: Scene, { name, viewport }: (typeof SIZES)[number]): Promise<void> {
  await using opened = await openPage("about:blank", { viewport, reducedMotion: "reduce" });
  const { page, problems } = opened;
  await scene.prepare?.(page);
  await page.goto(url + scene.path);
  if (scene.act) {
    await live(page);
    await scene.act(page);
  }
  await page.locator(scene.shown).first().waitFor();
  await checkLooks(page, `${scene.name}-${name}`);
  const unexpected = problems.filter((one) => scene.isTold?.test(one) !== true);
  expect({ scene: scene.name, unexpected }).toEqual({ scene: scene.name, unexpected: [] });
}

/** The pictures of a page by day and by night, kept for whoever looks, and what axe, thumbs and narrow screens have against it. */
export async function checkLooks(page: Page, name: string): Promise<void> {
  await mkdir(SCREENSHOTS, { recursive: true });
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const look = `${name}-${colorScheme}`;
    await page.screenshot({ path: join(SCREENSHOTS, `${look}.png`) });
    expect({ look, barriers: await findBarriers(page) }).toEqual({ look, barriers: [] });
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
