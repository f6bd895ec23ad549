import type { Page } from "playwright-core";

/**
 * From the pointer's first event to the painted change within `selector`, milliseconds, by the page's own clock: `act` presses. The
 * frame that shows the change counts as painted with the first task after it.
 */
export async function msToPaint(page: Page, selector: string, act: () => Promise<unknown>): Promise<number> {
  const painted = page.evaluate(
    (wanted) =>
      new Promise<number>((resolve) => {
        const watch = ({ timeStamp }: Event) => {
          const look = new MutationObserver(() => {
            look.disconnect();
            requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - timeStamp)));
          });
          look.observe(document.querySelector(wanted) as Element, {
            attributes: true,
            characterData: true,
            childList: true,
            subtree: true,
          });
        };
        addEventListener("pointerdown", watch, { capture: true, once: true });
      }),
    selector,
  );
  await page.evaluate(() => undefined);
  await act();
  return painted;
}
