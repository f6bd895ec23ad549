import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Programs of our own, earlier on the path than the system's. Each notes with what it was called, then does what its lines say. */
export interface FakePrograms {
  /** To be searched. */
  readonly path: string;
  /** Makes, or makes anew, the program; `body` is for sh, with the folder of all of them in $HERE. */
  add(name: string, body?: string): void;
  /** How the program was called so far, oldest first. */
  calls(name: string): string[][];
  /** The text of a file that a program wrote into $HERE; empty when there is none. */
  read(file: string): string;
  /** Makes a file in $HERE, which a program may wait for. */
  touch(file: string): void;
}

/** None as yet. */
export function createFakePrograms(folder: string): FakePrograms {
  const here = join(folder, "programs");
  mkdirSync(here, { recursive: true });
  const read = (file: string) => (existsSync(join(here, file)) ? readFileSync(join(here, file), "utf8") : "");
  return {
    path: `${here}:/usr/bin:/bin`,
    add(name, body = "") {
      const note = `printf '%s\\0' "$@" '' >> "$HERE/${name}.calls"`;
      const path = join(here, name);
      writeFileSync(path, `#!/bin/sh\nHERE='${here}'\n${note}\n${body}\n`);
      chmodSync(path, 0o755);
    },
    calls(name) {
      // Each call ends with an empty word.
      const calls = read(`${name}.calls`).split("\0\0").slice(0, -1);
      return calls.map((call) => call.split("\0"));
    },
    read,
    touch: (file) => appendFileSync(join(here, file), ""),
  };
}

/** For sh: waits until the file is there. */
export const waitFor = (file: string) => `while [ ! -e "$HERE/${file}" ]; do sleep 0.01; done`;
