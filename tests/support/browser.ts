import { test } from "bun:test";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { atEnd } from "./at-end.ts";

/** As Debian calls it, and others. */
const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** A busy machine paints late. */
const STEP_LIMIT_MS = 90_000;

/** What Chromium says of a header of ours on plain http, where it does without. */
const PLAIN_HTTP = "The Cross-Origin-Opener-Policy header has been ignored";

function findChromium(): string | undefined {
  return NAMES.map((name) => Bun.which(name)).find((path) => path !== null) ?? undefined;
}

let launching: Promise<Browser> | undefined;

/** The one browser of the run; each test has pages of its own in it. Names that end in `.test` are this machine, and so is `ops.internal`. */
export function browser(): Promise<Browser> {
  launching ??= launch();
  return launching;
}

async function launch(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error("there is no chromium: apt-get install chromium");
  const args = ["--host-resolver-rules=MAP *.test 127.0.0.1, MAP ops.internal 127.0.0.1", "--disable-gpu"];
  // Its sandbox does not work for root.
  if (process.getuid?.() === 0) args.push("--no-sandbox");
  const launched = await chromium.launch({ executablePath, args });
  atEnd(() => launched.close());
  return launched;
}

/** Whether tests of the page run: they do, and fail without a browser, where all must be tested (`CI=true`). */
export function hasBrowser(): boolean {
  return findChromium() !== undefined || Bun.env.CI === "true";
}

/** A test that needs a browser. Where there is none it says so and is over, but fails where all must be tested (`CI=true`). */
export function browserTest(name: string, run: () => Promise<void>, limitMs = 180_000): void {
  const tell = () => process.stdout.write(`not tested, there is no chromium: ${name}\n`);
  test(name, hasBrowser() ? run : () => void tell(), limitMs);
}

/** A page in a browser of its own: without cookies, storage or cache of others. */
export interface OpenedPage extends AsyncDisposable {
  readonly page: Page;
  /** What went wrong in it so far: errors of the console and of scripts, and what the content security policy refused. */
  readonly problems: readonly string[];
}

/** Opens `url` once its shell is loaded; `options` are Playwright's, such as `viewport` and `colorScheme`. */
export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<OpenedPage> {
  const context = await (await browser()).newContext(options);
  context.setDefaultTimeout(STEP_LIMIT_MS);
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith(PLAIN_HTTP))
      problems.push(`console: ${message.text()} (${message.location().url})`);
  });
  await page.exposeFunction("tellViolation", (text: string) => problems.push(`policy: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      const { tellViolation } = globalThis as unknown as { tellViolation(text: string): void };
      tellViolation(`${violatedDirective} refuses ${blockedURI}`);
    });
  });
  await page.goto(url);
  return { page, problems, [Symbol.asyncDispose]: () => context.close() };
}
