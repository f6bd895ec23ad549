import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import type { Mistakes } from "./mistakes.ts";

/** A file of settings is a page; more is not one. */
const FILE_BYTES_MAX = 256 * 1024;

const WRITABLE_BY_OTHERS = 0o022;

const ASSIGNMENT = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/;

/**
 * The settings of a `.env` file, or nothing when it is not there. It is refused where somebody else could have written it:
 * whoever may write these lines decides where the database is and who is an administrator.
 */
export function readEnvFile(
  path: string,
  options: { uid: number; mustExist: boolean },
  mistakes: Mistakes,
): Record<string, string> {
  const text = readOwnFile(path, options, mistakes);
  return text === undefined ? {} : parseEnvFile(text, path, mistakes);
}

function readOwnFile(
  path: string,
  { uid, mustExist }: { uid: number; mustExist: boolean },
  mistakes: Mistakes,
): string | undefined {
  let file: number;
  try {
    // Not to hang on a pipe; what was opened is what is checked and read.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = codeOf(error);
    return code === "ENOENT" && !mustExist ? undefined : mistakes.add(path, `cannot be read (${code})`);
  }
  try {
    const { uid: owner, mode, size } = fstatSync(file);
    const complaint = objection({ isFile: (mode & constants.S_IFMT) === constants.S_IFREG, owner, mode, size }, uid);
    return complaint === undefined ? readFileSync(file, "utf8") : mistakes.add(path, complaint);
  } finally {
    closeSync(file);
  }
}

function objection(
  { isFile, owner, mode, size }: { isFile: boolean; owner: number; mode: number; size: number },
  uid: number,
): string | undefined {
  if (!isFile) return "is refused: it is no regular file";
  if (owner !== 0 && owner !== uid) return "is refused: it belongs neither to you nor to root (chown it)";
  if ((mode & WRITABLE_BY_OTHERS) !== 0) return "is refused: others may write to it (chmod go-w)";
  return size > FILE_BYTES_MAX ? `is refused: it is larger than ${FILE_BYTES_MAX / 1024} KiB` : undefined;
}

/** NAME=value lines, with # comments, optional quotes, and an optional `export`. A line that is none is a mistake, shown by number alone. */
export function parseEnvFile(text: string, path: string, mistakes: Mistakes): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const [at, raw] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const [, name, rest] = ASSIGNMENT.exec(line) ?? [];
    const value = rest === undefined ? undefined : unquote(rest);
    if (name === undefined || value === undefined) mistakes.add(path, `line ${at + 1} is not NAME=value`);
    else settings[name] = value;
  }
  return settings;
}

/** The value as meant: quoted (with \n and \" in double quotes), or bare up to a comment. Undefined: the quote does not end. */
function unquote(text: string): string | undefined {
  if (text.startsWith("'")) return /^'([^']*)'\s*(#.*)?$/.exec(text)?.[1];
  if (!text.startsWith('"')) return text.replace(/(^|\s)#.*$/, "").trim();
  const quoted = /^"((?:[^"\\]|\\.)*)"\s*(#.*)?$/.exec(text)?.[1];
  return quoted?.replaceAll(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
}

/** The system's word for what went wrong (ENOENT). */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
