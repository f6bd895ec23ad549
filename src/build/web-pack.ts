import { cachedPagePack, PAGE_PATH, type Page, type PageFile, readPack } from "../http/page/pack.ts";

/** Bytes as they go over the wire, to a phone in the night; and of script that it must read before it shows anything. */
export const PAGE_BUDGETS = { firstLoadBrotli: 45_000, wholeBrotli: 70_000, scriptBeforeFirstRow: 120_000 } as const;

/** What the page costs, by the names of the budgets. */
export type PageCosts = Record<keyof typeof PAGE_BUDGETS, number>;

/** The path of the page's pack. Throws when it is larger than it may be. */
export async function buildPagePack(): Promise<string> {
  const path = await cachedPagePack();
  checkBudgets(pageCosts(await readPack(await Bun.file(path).bytes())));
  return path;
}

/** Throws where a budget is exceeded, and says which. */
export function checkBudgets(costs: PageCosts): void {
  const names = Object.keys(PAGE_BUDGETS) as (keyof PageCosts)[];
  const exceeded = names.filter((name) => costs[name] > PAGE_BUDGETS[name]);
  if (exceeded.length === 0) return;
  const words = exceeded.map((name) => `${name} is ${costs[name]} bytes of ${PAGE_BUDGETS[name]}`);
  throw new Error(`the page is too large: ${words.join(", ")}`);
}

/** What the first load fetches, all that there is, and how much script stands before the first row. */
export function pageCosts({ shell, assets }: Page): PageCosts {
  const first = [shell, ...[...firstLoad(shell, assets)].flatMap((name) => assets.get(name) ?? [])];
  const scripts = first.filter(({ contentType }) => contentType.startsWith("text/javascript"));
  return {
    firstLoadBrotli: sum(first, "br"),
    wholeBrotli: sum([shell, ...assets.values()], "br"),
    scriptBeforeFirstRow: sum(scripts, "identity"),
  };
}

function sum(files: readonly PageFile[], encoding: keyof PageFile["bodies"]): number {
  return files.reduce((total, { bodies }) => total + bodies[encoding].length, 0);
}

/** The files that the HTML names, what their scripts import before they run, and the worker. */
function firstLoad(shell: PageFile, assets: Page["assets"]): Set<string> {
  const loaded = new Set<string>();
  const visit = (name: string) => {
    const file = assets.get(name);
    if (file === undefined || loaded.has(name)) return;
    loaded.add(name);
    if (file.contentType.startsWith("text/javascript")) for (const one of importsOf(file)) visit(one);
  };
  const html = new TextDecoder().decode(shell.bodies.identity);
  for (const [, name = ""] of html.matchAll(new RegExp(`"${PAGE_PATH}/([^"]+)"`, "g"))) visit(name);
  for (const name of assets.keys()) if (name.startsWith("stream-worker-")) visit(name);
  return loaded;
}

function importsOf({ bodies }: PageFile): string[] {
  const imports = new Bun.Transpiler({ loader: "js" }).scanImports(new TextDecoder().decode(bodies.identity));
  return imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => path.replace(/^(\.|\/app)\//, ""));
}
