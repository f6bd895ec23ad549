import { readFile } from "node:fs/promises";
import { errorCode } from "../lib/errors.ts";

const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];
/** Of the lines' columns (Linux, proc_pid_net(5)): where it is bound, its state, whose it is. */
const COLUMN = { address: 1, state: 3, uid: 7 } as const;
const LISTENING = "0A";

/** The users whose processes listen on a TCP port of this machine; none where the system does not tell. */
export async function listeningUsers(port: number): Promise<number[]> {
  const lines = (await Promise.all(TABLES.map(readIfThere))).flatMap((text) => text.split("\n"));
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[COLUMN.state] === LISTENING && columns[COLUMN.address]?.endsWith(suffix))
    .map((columns) => Number(columns[COLUMN.uid]));
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return "";
    throw error;
  }
}
