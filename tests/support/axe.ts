import axe from "axe-core";
import type { Page } from "playwright-core";

interface Axe {
  run(context: Document, options: object): Promise<AxeResult>;
}

/** What axe finds wrong in the page as it is, one line each; by these rules alone where they are given. */
export async function findBarriers(page: Page, rules?: readonly string[]): Promise<string[]> {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe.source);
  return page.evaluate(async (runOnly) => {
    const { axe } = globalThis as unknown as { axe: Axe };
    // There are no sounds, and no style sheets of others, to be loaded beforehand.
    const options = { resultTypes: ["violations"], preload: false, ...(runOnly && { runOnly }) };
    const { violations } = await axe.run(document, options);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  }, rules);
}

interface AxeResult {
  violations: { id: string; nodes: { html: string }[] }[];
}

/** Things to press that are smaller than a thumb: 44 px each way, or within a sentence. */
export function findSmallTargets(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const least = 43.5;
    const isModal = document.querySelector("dialog[open]");
    const all = (isModal ?? document).querySelectorAll(
      "button, select, summary, input, nav a, a.button, a.row, a.host-row, a.choice",
    );
    return [...all].flatMap((element) => {
      const target = element.closest("label") ?? element;
      const { width, height } = target.getBoundingClientRect();
      const isSeen = width > 1 && height > 1 && element.checkVisibility();
      const isSmall = height < least || width < least;
      return isSeen && isSmall ? [`${element.outerHTML.slice(0, 120)} ${Math.round(width)}×${Math.round(height)}`] : [];
    });
  });
}

/** By how many pixels the page can be pushed sideways. */
export function sidewaysPx(page: Page): Promise<number> {
  return page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - innerWidth));
}
