import { mkdir, rename, stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

/** Where the page is, and all that belongs to it. */
export const PAGE_PATH = "/app";

/** A file carried by the executable is the pack when its name has this. */
const PACK_NAME = "page-pack";

const TOP = join(import.meta.dir, "../../..");

/** How a body may be sent, dearest to a phone first. */
export const ENCODINGS = ["br", "gzip", "identity"] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** Beside each file of the pack lie its compressed forms. */
const SUFFIXES: Readonly<Record<Encoding, string>> = { br: ".br", gzip: ".gz", identity: "" };

/** What the page may consist of. */
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
};

/** One file of the page, ready to be sent in each encoding. */
export interface PageFile {
  readonly contentType: string;
  readonly etag: string;
  readonly bodies: Readonly<Record<Encoding, Uint8Array>>;
}

/** The page as it is served: the HTML of all its addresses, and what that loads, by name. The names change with the content. */
export interface Page {
  readonly shell: PageFile;
  readonly assets: ReadonlyMap<string, PageFile>;
}

/** The page: the executable's own, or one built of the checkout's sources. */
export async function findPage(): Promise<Page> {
  const embedded = Bun.embeddedFiles.find((file) => "name" in file && String(file.name).includes(PACK_NAME));
  return readPack(await (embedded ?? Bun.file(await cachedPagePack())).bytes());
}

/** The path of the page's pack, built once of these sources and kept in node_modules/.cache. */
export async function cachedPagePack(): Promise<string> {
  const folder = join(TOP, "node_modules/.cache/opspilot", `page-${await digestSources()}`);
  const path = join(folder, `${PACK_NAME}.tar`);
  if (await isThere(path)) return path;
  await mkdir(folder, { recursive: true });
  // Servers that start side by side build it side by side; each is whole when it gets its name.
  const part = `${path}.${process.pid}`;
  await Bun.write(part, await packPage());
  await rename(part, path);
  return path;
}

/** All that the page is made of, and how: another content is another pack. */
const SOURCES = ["src/{web,protocol,lib}/**/*", "src/http/page/*", "bun.lock", "tsconfig.json"];

async function digestSources(): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256").update(Bun.version);
  // One pattern each: within braces Bun's patterns match nothing that has a slash.
  const files = SOURCES.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: TOP })]);
  for (const file of files.sort()) hasher.update(file).update(await Bun.file(join(TOP, file)).bytes());
  return hasher.digest("hex").slice(0, 12);
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The page's files as a tar, each as it is and compressed as far as it goes. */
async function packPage(): Promise<Uint8Array> {
  const worker = await bundle("stream-worker.ts", {});
  const [workerScript] = worker.keys();
  const page = await bundle("index.html", { STREAM_WORKER_URL: JSON.stringify(`${PAGE_PATH}/${workerScript}`) });
  const files = [...worker, ...page].flatMap(([name, bytes]) => [
    [name + SUFFIXES.identity, bytes] as const,
    [name + SUFFIXES.br, brotli(bytes)] as const,
    [name + SUFFIXES.gzip, Bun.gzipSync(bytes, { level: 9 })] as const,
  ]);
  return new Bun.Archive(Object.fromEntries(files)).bytes();
}

const HASHED_NAME = "[name]-[hash].[ext]";

async function bundle(entry: string, define: Record<string, string>): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const root = join(TOP, "src/web");
  const { outputs } = await Bun.build({
    entrypoints: [join(root, entry)],
    root,
    target: "browser",
    minify: true,
    splitting: true,
    publicPath: `${PAGE_PATH}/`,
    naming: { entry: HASHED_NAME, chunk: HASHED_NAME, asset: HASHED_NAME },
    // Also where a test builds it: libraries otherwise take along what helps who develops with them.
    define: { "process.env.NODE_ENV": '"production"', ...define },
    throw: true,
  });
  const files = outputs.map(async (file) => [basename(file.path), new Uint8Array(await file.arrayBuffer())] as const);
  return new Map(await Promise.all(files));
}

function brotli(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  return new Uint8Array(brotliCompressSync(bytes, { params }));
}

/** What a pack holds. */
export async function readPack(pack: Uint8Array): Promise<Page> {
  const found = await new Bun.Archive(new Uint8Array(pack)).files();
  const names = [...found.keys()].filter((name) => !/\.(br|gz)$/.test(name));
  const files = new Map(await Promise.all(names.map(async (name) => [name, await readFile(found, name)] as const)));
  const shellName = names.find((name) => extname(name) === ".html");
  const shell = files.get(shellName ?? "");
  if (shellName === undefined || shell === undefined) throw new Error("the page's pack has no HTML");
  files.delete(shellName);
  return { shell, assets: files };
}

async function readFile(found: ReadonlyMap<string, Blob>, name: string): Promise<PageFile> {
  const contentType = CONTENT_TYPES[extname(name)];
  if (contentType === undefined) throw new Error(`the page's pack has a file of an unknown kind: ${name}`);
  const bodyOf = async (encoding: Encoding) => {
    const body = await found.get(name + SUFFIXES[encoding])?.bytes();
    if (body === undefined) throw new Error(`the page's pack lacks ${name} as ${encoding}`);
    return body;
  };
  const bodies = { br: await bodyOf("br"), gzip: await bodyOf("gzip"), identity: await bodyOf("identity") };
  const digest = new Bun.CryptoHasher("sha256").update(bodies.identity).digest("hex").slice(0, 16);
  // Weak: it is the same content in each encoding.
  return { contentType, etag: `W/"${digest}"`, bodies };
}
