import { dlopen, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { errorCode } from "../lib/errors.ts";

const SOL_SOCKET = 1;
const SO_ATTACH_REUSEPORT_CBPF = 51;
/** A filter of one instruction: "return 1". */
const RETURN = 0x06;
const SECOND = 1;
const LISTEN_STATE = "0A";

/**
 * Lets the kernel give new connections to the second of two listeners that share a port, if there are two: then the first can be left
 * alone until all that it took has had its turn (socket(7), SO_ATTACH_REUSEPORT_CBPF). The filter belongs to the port's listeners
 * together, later ones too. False where the system has no such thing.
 */
export function preferNewest(port: number): boolean {
  const [file] = listenersOf(port);
  if (file === undefined) return false;
  const library = dlopen("libc.so.6", {
    setsockopt: { args: ["int", "int", "int", "ptr", "u32"], returns: "int" },
  });
  const filter = new DataView(new ArrayBuffer(8));
  filter.setUint16(0, RETURN, true);
  filter.setUint32(4, SECOND, true);
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, 1, true);
  program.setBigUint64(8, BigInt(ptr(filter)), true);
  const status = library.symbols.setsockopt(
    file,
    SOL_SOCKET,
    SO_ATTACH_REUSEPORT_CBPF,
    ptr(program),
    program.byteLength,
  );
  library.close();
  return status === 0;
}

/** Descriptors of this process: Bun tells none of its servers'. */
function listenersOf(port: number): number[] {
  const inodes = new Set(["tcp", "tcp6"].flatMap((kind) => inodesIn(`/proc/self/net/${kind}`, port)));
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((file) => inodes.has(socketInode(file)));
}

function inodesIn(table: string, port: number): string[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync(table, "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  return rows.filter(([, local, , state]) => local?.endsWith(end) && state === LISTEN_STATE).map((row) => row[9] ?? "");
}

function socketInode(file: number): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${file}`))?.[1] ?? "none";
  } catch (error) {
    // The one by which the list was read.
    if (errorCode(error) === "ENOENT") return "none";
    throw error;
  }
}
