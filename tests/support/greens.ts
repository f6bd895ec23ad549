import type { Page } from "playwright-core";

/** What says of the present that all is well; choices of a filter say nothing. */
const WELL = "\\b(all quiet|reporting|online|nothing is open|sees)\\b|^\\s*(live|none\\.)\\s*$";

/** Everything in sight that says that all is well: by a green of whatever shade, or in words; in the tab's title and icon, too. */
export function findGreens(page: Page): Promise<string[]> {
  return page.evaluate((well) => {
    const isGreen = (color: string) => {
      const [red = 0, green = 0, blue = 0, alpha = 1] = (color.match(/[\d.]+/g) ?? []).map(Number);
      return alpha > 0 && green - Math.max(red, blue) > 8;
    };
    const sides = [
      "color",
      "background-color",
      "border-top-color",
      "border-left-color",
      "outline-color",
      "fill",
      "stroke",
    ];
    const seen = [...document.querySelectorAll("body *")].filter((one) => one.getClientRects().length > 0);
    const colored = seen.flatMap((one) =>
      ["", "::before", "::after"].flatMap((part) => {
        const style = getComputedStyle(one, part);
        const green = sides.find((side) => isGreen(style.getPropertyValue(side)));
        return green ? [`${one.tagName} .${one.getAttribute("class")}${part}: ${green}`] : [];
      }),
    );
    const spoken = seen.flatMap((one) => {
      const own = [...one.childNodes].filter(({ nodeType }) => nodeType === Node.TEXT_NODE);
      const text = own.map(({ textContent }) => textContent).join(" ");
      const isChoice = one.closest("option, label, button, nav, code, pre") !== null;
      return !isChoice && new RegExp(well, "i").test(text.replaceAll("was reporting", "")) ? [`says ${text}`] : [];
    });
    const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]')?.href ?? "";
    const tab = [
      ...(document.title.startsWith("(?) ") ? [] : [`title ${document.title}`]),
      ...(icon.includes("alert-old") ? [] : [`icon ${icon}`]),
    ];
    return [...colored, ...spoken, ...tab];
  }, WELL);
}
