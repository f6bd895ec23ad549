import { basename, dirname, join } from "node:path";

/** The text of source files by their path from the top of the repository ("src/lib/log.ts"). */
export type Files = ReadonlyMap<string, string>;

/** One place where the code leaves the house's rules. */
export interface Violation {
  readonly file: string;
  readonly rule: string;
  readonly detail: string;
}

type Check = (files: Files) => Violation[];

const FEATURES = [
  "access",
  "backup",
  "cron",
  "fleet",
  "ingest",
  "incidents",
  "integrations",
  "commands",
  "analysis",
  "sessions",
  "silences",
  "announcements",
  "decisions",
  "figures",
  "feedback",
  "oidc",
  "slack",
  "webhook",
  "outlets",
];

/** From the ground up: a part may import what lies on lower floors, and itself; parts of one floor do not know each other. */
const FLOORS = [
  ["lib"],
  ["protocol"],
  ["config"],
  ["db"],
  ["jobs"],
  FEATURES,
  ["gateway", "doctor"],
  ["http"],
  ["pipeline"],
  ["server"],
  ["cli", "build"],
  ["main"],
];

/** Parts beside the server, with all that they may import. */
const ANNEXES: Record<string, readonly string[]> = {
  agent: ["lib", "protocol", "config"],
  web: ["protocol"],
};

/** What the page and the API say to each other is described once, where it is answered. */
const SHARED_TYPES: Record<string, readonly string[]> = { web: ["http"] };

/** Which part alone writes a table: everybody else asks that part. */
const TABLE_OWNERS: Record<string, string> = {
  access_tokens: "access",
  agents: "fleet",
  alerts: "incidents",
  announcements: "announcements",
  collectors: "fleet",
  commands: "commands",
  decisions: "decisions",
  enrolments: "fleet",
  events: "incidents",
  feedback: "feedback",
  figure_windows: "figures",
  figures_1h: "figures",
  figures_1m: "figures",
  figures_5m: "figures",
  figures_kept: "figures",
  figures_rolled: "figures",
  incidents: "incidents",
  integrations: "integrations",
  cron_jobs: "cron",
  investigation_steps: "analysis",
  investigations: "analysis",
  model_calls: "analysis",
  nodes: "fleet",
  oidc_sign_ins: "oidc",
  outages: "fleet",
  outlets: "announcements",
  quarantine: "ingest",
  revoked_tokens: "fleet",
  sessions: "sessions",
  silences: "silences",
  slack_callbacks: "slack",
  token_hosts: "fleet",
};

/** Longer, and there is a second subject in the file. */
const FILE_LINES_MAX = 400;

interface Import {
  /** Path from the top of the repository; a package's name when it is not one of our files. */
  readonly target: string;
  readonly typeOnly: boolean;
}

const transpilers = {
  ts: new Bun.Transpiler({ loader: "ts", target: "bun" }),
  tsx: new Bun.Transpiler({ loader: "tsx", target: "bun" }),
};

const transpilerOf = (file: string) => (file.endsWith(".tsx") ? transpilers.tsx : transpilers.ts);

/** Every import of a file; those that the transpiler drops are for types only. */
function importsOf(file: string, text: string): Import[] {
  const atRunTime = new Set(
    transpilerOf(file)
      .scanImports(withoutShebang(text))
      .map((one) => one.path),
  );
  const named = [...codeOf(text).matchAll(/\bfrom\s+"([^"]+)"|\bimport\s*\(?\s*"([^"]+)"/g)];
  const paths = new Set([...atRunTime, ...named.map((match) => match[1] ?? match[2] ?? "")]);
  return [...paths].map((path) => ({
    target: path.startsWith(".") ? join(dirname(file), path) : path,
    typeOnly: !atRunTime.has(path),
  }));
}

/** The transpiler knows none in a text; the line stays, for the numbers of those after it. */
function withoutShebang(text: string): string {
  return text.replace(/^#!.*/, "");
}

/** The text without its comments that stand on lines of their own. */
function codeOf(text: string): string {
  return text.replaceAll(/^\s*\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
}

/** "fleet" for src/fleet/store.ts, "config" for src/config.ts and src/config/env.ts; undefined outside src. */
function partOf(path: string): string | undefined {
  return /^src\/([^/]+?)(?:\.tsx?$|\/)/.exec(path)?.[1];
}

function sources(files: Files): [string, string][] {
  return [...files].filter(([file]) => file.startsWith("src/"));
}

/** For rules that one line breaks: what matches in the files where it may not stand. */
function forbids(rule: string, pattern: RegExp, inFile: (file: string) => boolean): Check {
  return (files) =>
    [...files]
      .filter(([file]) => inFile(file))
      .flatMap(([file, text]) =>
        [...codeOf(text).matchAll(pattern)].map((match) => ({ file, rule, detail: match[0].trim() })),
      );
}

const checkLayers: Check = (files) =>
  sources(files).flatMap(([file, text]) =>
    importsOf(file, text)
      .filter((one) => !mayImport(file, one))
      .map(({ target, typeOnly }) => violation(file, "imports only downwards", target, typeOnly)),
  );

function mayImport(file: string, { target, typeOnly }: Import): boolean {
  const from = partOf(file);
  const to = partOf(target);
  if (from === undefined || to === undefined || from === to) return true;
  const annex = ANNEXES[from];
  if (annex) return annex.includes(to) || (typeOnly && SHARED_TYPES[from]?.includes(to) === true);
  if (FEATURES.includes(from) && FEATURES.includes(to)) return true;
  const here = floorOf(from);
  const there = floorOf(to);
  const isOfCommandLine = from === "cli" && to in ANNEXES;
  return isOfCommandLine || (here >= 0 && there >= 0 && there < here && to !== "build");
}

const floorOf = (part: string) => FLOORS.findIndex((parts) => parts.includes(part));

const checkFeatures: Check = (files) =>
  sources(files).flatMap(([file, text]) =>
    importsOf(file, text)
      .filter(({ target, typeOnly }) => {
        const from = partOf(file) ?? "";
        const to = partOf(target) ?? "";
        const isNeighbour = from !== to && FEATURES.includes(from) && FEATURES.includes(to);
        return isNeighbour && !(typeOnly && basename(target) === "model.ts");
      })
      .map(({ target, typeOnly }) => violation(file, "features share only types of model.ts", target, typeOnly)),
  );

function violation(file: string, rule: string, target: string, typeOnly: boolean): Violation {
  return { file, rule, detail: `imports ${target}${typeOnly ? " (types)" : ""}` };
}

const checkCycles: Check = (files) => {
  const graph = new Map(
    sources(files).map(([file, text]) => [
      file,
      importsOf(file, text)
        .filter((one) => !one.typeOnly)
        .map((one) => one.target),
    ]),
  );
  const found: Violation[] = [];
  const finished = new Set<string>();
  const visit = (file: string, path: readonly string[]) => {
    if (path.includes(file)) {
      const cycle = [...path.slice(path.indexOf(file)), file].join(" → ");
      found.push({ file, rule: "no cycles", detail: cycle });
    } else if (!finished.has(file)) {
      for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
      finished.add(file);
    }
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
};

const isSource = (file: string) => file.startsWith("src/");
const isStorage = (file: string) => file.startsWith("src/db/") || /(^|[/-])store\.ts$/.test(file);

const checkSqlTools: Check = (files) =>
  sources(files)
    .filter(([file]) => !isStorage(file) && partOf(file) !== "build")
    .flatMap(([file, text]) =>
      importsOf(file, text)
        .filter(({ target, typeOnly }) => !typeOnly && /^(drizzle-orm|postgres)(\/|$)|^src\/db\/schema/.test(target))
        .map(({ target }) => violation(file, "SQL only in stores and src/db", target, false)),
    );

/** Statements as they are written out, and as Drizzle's builder makes them of a table's name in the schema. */
const WRITES =
  /\b(?:insert\s+into|delete\s+from)\s+"?(\w+)|\bupdate\s+"?(\w+)"?\s+(?:\w+\s+)?set\b|\.(?:insert|update|delete)\((\w+)\)/gi;

const checkTableOwners: Check = (files) =>
  sources(files)
    .filter(([file]) => partOf(file) !== "db")
    .flatMap(([file, text]) =>
      [...codeOf(text).matchAll(WRITES)]
        .map((match) => snakeCase(match[1] ?? match[2] ?? match[3] ?? ""))
        .filter((table) => Object.hasOwn(TABLE_OWNERS, table) && TABLE_OWNERS[table] !== partOf(file))
        .map((table) => ({ file, rule: "a table is written by its owner alone", detail: table })),
    );

const snakeCase = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const checkNames: Check = (files) =>
  [...files.keys()]
    .filter((file) => !/^([a-z0-9]+(-[a-z0-9]+)*[./]?)+$/.test(file))
    .map((file) => ({ file, rule: "kebab-case names", detail: basename(file) }));

const checkIndexes: Check = (files) =>
  [...files.keys()]
    .filter((file) => /^index\.tsx?$/.test(basename(file)))
    .map((file) => ({ file, rule: "no barrels", detail: basename(file) }));

const checkLengths: Check = (files) =>
  sources(files)
    .map(([file, text]) => ({ file, lines: text.trimEnd().split("\n").length }))
    .filter(({ lines }) => lines > FILE_LINES_MAX)
    .map(({ file, lines }) => ({ file, rule: `at most ${FILE_LINES_MAX} lines`, detail: `${lines} lines` }));

const EXPORTED =
  /^export (?:abstract |async |const )*(?:function\*?|const|interface|class|type|enum)? ?([A-Za-z_$][\w$]*)/;

/** A schema and its type share a name and a comment; a plain type, and what a function takes (`…Deps`, `…Options`), say enough by themselves. */
const checkComments: Check = (files) =>
  sources(files).flatMap(([file, text]) => {
    const lines = text.split("\n");
    const documented = new Set<string>();
    const bare = new Map<string, number>();
    for (const [at, line] of lines.entries()) {
      const name = EXPORTED.exec(line)?.[1];
      if (name === undefined) continue;
      if (lines[at - 1]?.trimEnd().endsWith("*/")) documented.add(name);
      else if (!/^export type |^export interface \w+(Deps|Options)\b/.test(line) && !bare.has(name))
        bare.set(name, at + 1);
    }
    return [...bare]
      .filter(([name]) => !documented.has(name))
      .map(([name, line]) => ({
        file,
        rule: "every exported thing has a doc comment",
        detail: `${name}, line ${line}`,
      }));
  });

/** Entry points do something when they are loaded; nothing else does. */
const ENTRIES = ["src/main.ts", "src/build/build.ts", "src/web/main.tsx", "src/web/stream-worker.ts"];

const checkImportEffects: Check = (files) =>
  sources(files)
    .filter(([file]) => !ENTRIES.includes(file))
    .flatMap(([file, text]) =>
      topLevelOf(file, text)
        .filter((line) => /^(let|var|await|if|for|while|try|switch|throw|new)\b|^[\w$.]+\s*(\(|=[^=>]|\+\+)/.test(line))
        .map((line) => ({ file, rule: "no side effects and no state at import", detail: line })),
    );

/** The lines of the compiled text that begin a statement of the module itself. */
function topLevelOf(file: string, text: string): string[] {
  const code = transpilerOf(file)
    .transformSync(withoutShebang(text))
    .replaceAll(/`(?:\\[\s\S]|[^`\\])*`/g, "``");
  return code.split("\n").filter((line) => /^\w/.test(line));
}

const isTest = (file: string) => file.endsWith(".test.ts");

const CHECKS: readonly Check[] = [
  checkLayers,
  checkFeatures,
  checkCycles,
  checkSqlTools,
  checkTableOwners,
  checkNames,
  checkIndexes,
  checkLengths,
  checkComments,
  checkImportEffects,
  forbids(
    "environment only in config",
    /\b(process|Bun|import\.meta)\.env\b|\benv\b[^;\n]*from "(node:)?process"/g,
    // Who builds names the variable, to write its value into what is built.
    (file) => isSource(file) && !["config", "build"].includes(partOf(file) ?? "") && file !== "src/http/page/pack.ts",
  ),
  forbids("process.exit only in src/main.ts", /\bprocess\.exit\(/g, (file) => isSource(file) && file !== "src/main.ts"),
  forbids(
    "SQL only in stores and src/db",
    /\b(sql|raw|tx|db|transaction)(<[^`\n]*>)?`|\.unsafe\(/g,
    (file) => isSource(file) && !isStorage(file),
  ),
  forbids("no default exports", /^export default\b.*|^export \{[^}]*\bas default\b/gm, () => true),
  forbids("no barrels", /^export (type )?(\*|\{[^}]*\}) ?(as \w+ )?from .*/gm, () => true),
  forbids(
    "no swallowed errors",
    /catch\s*(\([^)]*\))?\s*\{\s*\}|\.catch\(\(\)\s*=>\s*(\{\s*\}|undefined|null)\)/g,
    isSource,
  ),
  forbids("no test is skipped", /\b(test|it|describe)\.(skip|todo|only|skipIf|todoIf|if)\b/g, isTest),
];

/** Every place where the files leave the house's rules, in order of file. */
export function inspect(files: Files): Violation[] {
  return CHECKS.flatMap((check) => check(files)).sort((a, b) => a.file.localeCompare(b.file));
}
