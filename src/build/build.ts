import { mkdir, rm } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { BunPlugin } from "bun";
import { errorMessage } from "../lib/errors.ts";
import { executableName, isPlatform, PLATFORMS, type Platform } from "../protocol/platforms.ts";
import { cachedPack } from "./postgres-pack.ts";
import { buildPagePack } from "./web-pack.ts";

/** With which Bun each is built, and whose PostgreSQL it carries. */
const TARGETS = {
  "linux-x64": { bun: "bun-linux-x64", postgres: "linux-x64" },
  "linux-x64-baseline": { bun: "bun-linux-x64-baseline", postgres: "linux-x64" },
  "linux-arm64": { bun: "bun-linux-arm64", postgres: "linux-arm64" },
} as const satisfies Record<Platform, unknown>;

const TOP = join(import.meta.dir, "../..");
const SIZE_BYTES_MAX = 150_000_000;

/** Builds one executable that needs nothing else: `bun run build [--target <target>] [--outfile <path>]`. */
async function build(): Promise<void> {
  const { values } = parseArgs({ options: { target: { type: "string" }, outfile: { type: "string" } } });
  const target = targetOf(values.target ?? `${process.platform}-${process.arch}`);
  const name = values.target === undefined ? "opspilot" : executableName(target);
  const outfile = resolve(values.outfile ?? join(TOP, "dist", name));
  await mkdir(dirname(outfile), { recursive: true });
  const packs = [await cachedPack(TOP, TARGETS[target].postgres), await buildPagePack()];
  await compile(target, values.target === undefined, packs, outfile);
  // It is in the executable; the copy beside it is of no use.
  await rm(`${outfile}.map`, { force: true });
  const sizeBytes = Bun.file(outfile).size;
  process.stdout.write(`${relative(process.cwd(), outfile)}: ${target}, ${(sizeBytes / 1e6).toFixed(1)} MB\n`);
  if (sizeBytes > SIZE_BYTES_MAX) throw new Error(`it is larger than ${SIZE_BYTES_MAX / 1e6} MB`);
}

function targetOf(text: string): Platform {
  if (isPlatform(text)) return text;
  throw new Error(`unknown target ${text}; expected one of ${PLATFORMS.join(", ")}`);
}

async function compile(target: Platform, isForHere: boolean, assets: string[], outfile: string): Promise<void> {
  const commit = await commitOf(TOP);
  // Where it is not given, the bundler writes "development" into the code of every library.
  const define = { "process.env.NODE_ENV": '"production"', OPSPILOT_PLATFORM: JSON.stringify(target) };
  await Bun.build({
    entrypoints: [join(TOP, "src/main.ts")],
    target: "bun",
    // Names of functions stay: people read them in a stack trace.
    minify: { syntax: true, whitespace: true, identifiers: true, keepNames: true },
    // A stack trace in a log then names our files and lines.
    sourcemap: "inline",
    define: commit === undefined ? define : { ...define, OPSPILOT_COMMIT: JSON.stringify(commit) },
    // Nothing is parsed at the start: a command answers in a fifth of the time, for 12 MB more.
    bytecode: true,
    format: "esm",
    plugins: [LEAN],
    throw: true,
    compile: {
      outfile,
      assets,
      // None of the two is ours to read: they would come from whatever folder the executable is started in.
      autoloadDotenv: false,
      autoloadBunfig: false,
      // The bun that builds is the one for this machine; another is fetched.
      ...(isForHere ? { executablePath: process.execPath } : { target: TARGETS[target].bun }),
    },
  });
}

/**
 * What libraries bring for what the server never does, each up to 0.7 MB of the executable: the Model Context Protocol's has Ajv for
 * questions that a server asks people by way of a client; pg-boss has calendars' rules for schedules, which are off; Elysia looks into
 * files that somebody uploads, which no route takes: one that did would fail.
 */
const LEFT_OUT: readonly { filter: RegExp; contents: string }[] = [
  {
    filter: /@modelcontextprotocol\/sdk\/dist\/esm\/validation\/ajv-provider\.js$/,
    contents: "export class AjvJsonSchemaValidator {}",
  },
  { filter: /\/rrule-temporal\/dist\/[^/]+\.js$/, contents: "export class RRuleTemporal {}" },
  {
    filter: /\/file-type\/source\/index\.js$/,
    contents: 'export const fileTypeFromBlob = () => { throw new Error("what files are is not known here"); };',
  },
];

const LEAN: BunPlugin = {
  name: "lean",
  setup: (builder) => {
    for (const { filter, contents } of LEFT_OUT) builder.onLoad({ filter }, () => ({ contents, loader: "js" }));
  },
};

/** Nothing where there is no git, as in a container's build. */
async function commitOf(folder: string): Promise<string | undefined> {
  if (Bun.which("git") === null) return undefined;
  const child = Bun.spawn(["git", "rev-parse", "--short", "HEAD"], { cwd: folder, stdout: "pipe", stderr: "ignore" });
  const [text, status] = await Promise.all([child.stdout.text(), child.exited]);
  return status === 0 ? text.trim() : undefined;
}

/** The bundler's mistakes come with the lines of code that they are about. */
function describe(error: unknown): string {
  if (!(error instanceof Error) || error instanceof AggregateError) return Bun.inspect(error);
  return error.cause === undefined ? error.message : `${error.message}: ${errorMessage(error.cause)}`;
}

await build().catch((error) => {
  process.stderr.write(`build: ${describe(error)}\n`);
  process.exitCode = 1;
});
