import { cachedPagePack, PAGE_PATH, type Page, type PageFile, readPack } from "../http/page/pack.ts";

/**
 * Bytes as they go over the wire, to a phone in the night: of the first load, and of that with the largest of what is loaded later
 * (the charts); and of script that it must read before it shows anything.
 */
export const PAGE_BUDGETS = {
  firstLoadBrotli: 45_000,
  withChartsBrotli: 70_000,
  scriptBeforeFirstRow: 120_000,
} as const;

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

/** What the page, as it is, costs by each budget. */
export function pageCosts({ shell, assets }: Page): PageCosts {
  const filesOf = (names: Iterable<string>) => [...names].flatMap((name) => assets.get(name) ?? []);
  const loaded = firstLoad(shell, assets);
  const first = [shell, ...filesOf(loaded)];
  const later = [...assets.keys()].filter((name) => !loaded.has(name));
  const costsLater = later.map((name) => sum(filesOf(closure([name], assets).difference(loaded)), "br"));
  return {
    firstLoadBrotli: sum(first, "br"),
    withChartsBrotli: sum(first, "br") + Math.max(0, ...costsLater),
    scriptBeforeFirstRow: sum(first.filter(isScript), "identity"),
  };
}

const isScript = ({ contentType }: PageFile) => contentType.startsWith("text/javascript");

function sum(files: readonly PageFile[], encoding: keyof PageFile["bodies"]): number {
  return files.reduce((total, { bodies }) => total + bodies[encoding].length, 0);
}

/** The files that the HTML names, what their scripts import before they run, and the worker. */
function firstLoad(shell: PageFile, assets: Page["assets"]): Set<string> {
  const html = new TextDecoder().decode(shell.bodies.identity);
  const named = [...html.matchAll(new RegExp(`"${PAGE_PATH}/([^"]+)"`, "g"))].map(([, name = ""]) => name);
  const workers = [...assets.keys()].filter((name) => name.startsWith("stream-worker-"));
  return closure([...named, ...workers], assets);
}

/** The files, and what their scripts import before they run. */
function closure(names: readonly string[], assets: Page["assets"]): Set<string> {
  const found = new Set<string>();
  const visit = (name: string) => {
    const file = assets.get(name);
    if (file === undefined || found.has(name)) return;
    found.add(name);
    if (isScript(file)) for (const one of importsOf(file)) visit(one);
  };
  for (const name of names) visit(name);
  return found;
}

function importsOf({ bodies }: PageFile): string[] {
  const imports = new Bun.Transpiler({ loader: "js" }).scanImports(new TextDecoder().decode(bodies.identity));
  return imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => path.replace(/^(\.|\/app)\//, ""));
}
