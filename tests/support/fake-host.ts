import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type InstallDeps,
  type InstallRequest,
  installService,
  type UninstallRequest,
  uninstallService,
} from "../../src/agent/install/install.ts";
import { createProcessRunner } from "../../src/agent/run-process.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createFakePrograms, type FakePrograms } from "./fake-programs.ts";

/** A system of our own under a folder, whose useradd and systemctl only note what they are asked. */
export interface FakeHost {
  readonly root: string;
  readonly programs: FakePrograms;
  /** What was told since the last call, line by line. */
  told(): string[];
  install(request?: Partial<InstallRequest>, deps?: Partial<InstallDeps>): Promise<void>;
  uninstall(request?: Partial<UninstallRequest>, deps?: Partial<InstallDeps>): Promise<void>;
  read(path: string): Promise<string>;
  mode(path: string): Promise<string>;
  exists(path: string): Promise<boolean>;
}

/** What an installation needs at least. */
export const SETTINGS = { OPSPILOT_SERVER: "wss://ops.example.com", OPSPILOT_TOKEN: "secret-token-1" };

/** Booted by systemd, with the usual groups and the units that are named. */
export function createFakeHost(folder: string, { units = ["nginx.service"] }: { units?: string[] } = {}): FakeHost {
  const root = join(folder, "root");
  for (const path of ["etc", "run/systemd/system", "usr/local/bin"]) mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\nadm:x:4:\nsystemd-journal:x:999:\ndocker:x:998:\n");
  const executable = join(folder, "opspilot");
  writeFileSync(executable, "the executable");
  const programs = createFakePrograms(folder);
  const list = units.map((unit) => `echo '${unit} loaded active running'`).join("; ") || ":";
  programs.add("systemctl", `case "$*" in *list-unit*) ${list};; *Id*mysql*) echo Id=mariadb.service;; esac`);
  programs.add("pkaction", "echo pkaction version 122");
  programs.add("useradd", `for last; do :; done; echo "$last:x:997:997::/:/bin/false" >> '${root}/etc/passwd'`);
  programs.add("userdel");
  const run = createProcessRunner({ searchPath: programs.path, clock: createSystemClock() });
  const place = { root, isThisSystem: true, isDryRun: false };
  const lines: string[] = [];
  const deps = { run, tell: (line: string) => void lines.push(line), executable, uid: 0 };
  const file = (path: string) => Bun.file(join(root, path));
  return {
    root,
    programs,
    told: () => lines.splice(0),
    install: (request = {}, more = {}) =>
      installService({ settings: SETTINGS, ...place, ...request }, { ...deps, ...more }),
    uninstall: (request = {}, more = {}) =>
      uninstallService({ purge: false, ...place, ...request }, { ...deps, ...more }),
    read: (path) => file(path).text(),
    mode: async (path) => ((await file(path).stat()).mode & 0o777).toString(8),
    exists: (path) => file(path).exists(),
  };
}
