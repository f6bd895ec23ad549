import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { type ChildUser, makePrivateDirectory } from "./child-user.ts";
import { POSTGRES_PORT, SOCKET_DIRECTORY_BYTES_MAX } from "./settings.ts";
import { cannotCreate, errorCode } from "./start-failures.ts";

const HASH_CHARACTERS = 16;

/**
 * Where the socket lies: `run/` in the data directory, or, where that path would be too long for a socket, a directory
 * under /run (for root) or /tmp, always the same for the same data directory.
 */
export function prepareSocketDirectory(dataDir: string, user: ChildUser | undefined, serverUid: number): string {
  const usual = join(dataDir, "run");
  if (Buffer.byteLength(join(usual, `.s.PGSQL.${POSTGRES_PORT}`)) <= SOCKET_DIRECTORY_BYTES_MAX) {
    makePrivateDirectory(usual, user);
    return usual;
  }
  const hash = new Bun.CryptoHasher("sha256").update(dataDir).digest("hex").slice(0, HASH_CHARACTERS);
  const short = join(serverUid === 0 ? "/run" : "/tmp", `opspilot-${hash}`);
  makeShortDirectory(short, user, serverUid);
  return short;
}

/** Leaves nothing behind under /run or /tmp, once no postmaster runs. */
export function removeSocketDirectory(dataDir: string, directory: string): void {
  if (directory !== join(dataDir, "run") && existsSync(directory)) rmdirSync(directory);
}

/** Everybody can make names in /tmp: what is there already must be a directory of ours. */
function makeShortDirectory(path: string, user: ChildUser | undefined, serverUid: number): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
  const stats = lstatSync(path);
  const isOurs = stats.uid === serverUid || stats.uid === user?.uid;
  if (!stats.isDirectory() || !isOurs)
    throw cannotCreate(`${path}, the database's socket directory, is someone else's`);
  chmodSync(path, 0o700);
  if (user) chownSync(path, user.uid, user.gid);
}
