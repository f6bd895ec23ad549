import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Log } from "../../lib/log.ts";
import { cannotCreate } from "./start-failures.ts";

/** Whom PostgreSQL runs as when the server is root. */
export interface ChildUser {
  readonly uid: number;
  readonly gid: number;
}

const PREFERRED_NAME = "opspilot";
const FALLBACK_NAME = "nobody";

/**
 * PostgreSQL refuses to run as root: it then runs as the owner of the data that is there, else as user `opspilot`, else as
 * the data directory's owner, else as `nobody`. Undefined means: as the server itself, which is not root.
 */
export function chooseChildUser(dataDir: string, serverUid: number, log: Log): ChildUser | undefined {
  if (serverUid !== 0) return undefined;
  const user =
    ownerOf(join(dataDir, "data")) ?? findUser(PREFERRED_NAME) ?? ownerOf(dataDir) ?? useFallback(dataDir, log);
  refuseUnreachable(dataDir, user);
  return user;
}

/** A directory for PostgreSQL alone. */
export function makePrivateDirectory(path: string, user: ChildUser | undefined): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  if (user) chownSync(path, user.uid, user.gid);
}

function ownerOf(path: string): ChildUser | undefined {
  if (!existsSync(path)) return undefined;
  const { uid, gid } = statSync(path);
  return uid === 0 ? undefined : { uid, gid };
}

function useFallback(dataDir: string, log: Log): ChildUser {
  const nobody = findUser(FALLBACK_NAME);
  if (!nobody) throw cannotCreate("PostgreSQL refuses to run as root: create a user named opspilot for it");
  log.warn({ dataDir }, "PostgreSQL runs as nobody, which other services may use too: create a user named opspilot");
  return nobody;
}

/** From the local user list; the network's is not asked. */
function findUser(name: string): ChildUser | undefined {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((one) => one.startsWith(`${name}:`));
  const [uid, gid] = line?.split(":").slice(2, 4).map(Number) ?? [];
  return uid && gid !== undefined ? { uid, gid } : undefined;
}

/** The user must get from / down to the data directory; what is in it belongs to it or is readable for all. */
function refuseUnreachable(dataDir: string, user: ChildUser): void {
  for (let path = dataDir; ; path = dirname(path)) {
    const stats = statSync(path);
    if (!mayEnter(stats, user)) {
      const mode = (stats.mode & 0o777).toString(8);
      throw cannotCreate(
        `PostgreSQL runs as user ${user.uid}, which may not enter ${path} (mode ${mode}): ` +
          `choose another OPSPILOT_DATA_DIR than ${dataDir}, or allow it by chmod o+x ${path}`,
      );
    }
    if (path === dirname(path)) return;
  }
}

function mayEnter({ uid, gid, mode }: Stats, user: ChildUser): boolean {
  if (uid === user.uid) return (mode & 0o100) !== 0;
  return (mode & (gid === user.gid ? 0o010 : 0o001)) !== 0;
}
