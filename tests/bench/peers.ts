import { chmod, mkdir, rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** Where the programs that we compare with and measure by are. */
export interface Peers {
  readonly goBackend: string;
  readonly loadgen: string;
  /** A script, run as it is. */
  readonly limit: string;
}

/** Builds them with their own script, once for each state of their sources, into a folder outside the repository. */
export async function buildPeers(folder: string): Promise<Peers> {
  const out = join(tmpdir(), `opspilot-peers-${await digestOf(folder)}`);
  const peers = {
    goBackend: join(out, "go-backend"),
    loadgen: join(out, "loadgen"),
    limit: resolve(folder, "limit/limit.ts"),
  };
  if (await Bun.file(peers.loadgen).exists()) return peers;
  const fresh = `${out}.${process.pid}`;
  await mkdir(fresh, { recursive: true });
  const child = Bun.spawn(["bash", join(folder, "build.sh"), fresh], { stdin: "ignore", stdout: 2, stderr: 2 });
  if ((await child.exited) !== 0) throw new Error(`${folder}/build.sh did not build the peers`);
  await chmod(fresh, 0o755);
  await rename(fresh, out);
  return peers;
}

async function digestOf(folder: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  const files = [...new Bun.Glob("**/*.{go,sh}").scanSync(folder)].sort();
  if (files.length < 3) throw new Error(`${folder} holds no peers: build.sh, go-backend/ and loadgen/ are expected`);
  for (const file of files) hasher.update(file).update(await Bun.file(join(folder, file)).bytes());
  return hasher.digest("hex").slice(0, 16);
}
