import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { inspect } from "./support/tidy.ts";

const TOP = join(import.meta.dir, "..");

describe("the house's rules", () => {
  test("hold in src and tests", async () => {
    const files = new Map<string, string>();
    for (const file of new Bun.Glob("{src,tests}/**/*.{ts,tsx}").scanSync(TOP))
      files.set(file, await Bun.file(join(TOP, file)).text());
    expect(files.size).toBeGreaterThan(20);
    expect(inspect(files).map(({ file, rule, detail }) => `${file}: ${rule}: ${detail}`)).toEqual([]);
  });

  test("are found to be broken where they are", () => {
    const rules = (files: Record<string, string>) => inspect(new Map(Object.entries(files))).map((one) => one.rule);
    const broken: [string, Record<string, string>][] = [
      ["imports only downwards", { "src/lib/a.ts": 'import type { B } from "../protocol/b.ts";' }],
      ["imports only downwards", { "src/protocol/a.ts": 'import { b } from "../db/b.ts";\nconst c = b;' }],
      ["imports only downwards", { "src/http/a.ts": 'import { b } from "../server.ts";\nconst c = b;' }],
      ["imports only downwards", { "src/cli/a.ts": 'const b = () => import("../build/b.ts");' }],
      ["imports only downwards", { "src/agent/a.ts": 'import type { B } from "../db/b.ts";' }],
      ["imports only downwards", { "src/web/a.tsx": 'import { b } from "../http/b.ts";\nconst c = <p>{b}</p>;' }],
      ["imports only downwards", { "src/web/a.tsx": 'import type { B } from "../fleet/model.ts";' }],
      ["imports only downwards", { "src/elsewhere/a.ts": 'import type { B } from "../lib/b.ts";' }],
      ["features share only types of model.ts", { "src/fleet/a.ts": 'import type { B } from "../ingest/store.ts";' }],
      [
        "features share only types of model.ts",
        { "src/fleet/a.ts": 'import { b } from "../ingest/model.ts";\nconst c = b;' },
      ],
      ["no cycles", { "src/lib/a.ts": "import './a.ts';" }],
      [
        "no cycles",
        {
          "src/lib/a.ts": 'import { b } from "./b.ts";\nconst a = () => b;',
          "src/lib/b.ts": 'import { c } from "./c.ts";\nconst b = () => c;',
          "src/lib/c.ts": 'const c = () => import("./a.ts");',
        },
      ],
      ["environment only in config", { "src/lib/a.ts": "const a = () => process.env.HOME;" }],
      ["environment only in config", { "src/lib/a.ts": 'import { env } from "node:process";\nconst a = () => env;' }],
      ["process.exit only in src/main.ts", { "src/server.ts": "const a = () => process.exit(1);" }],
      ["SQL only in stores and src/db", { "src/fleet/agents.ts": "const a = (sql) => sql<number[]>`select 1`;" }],
      ["SQL only in stores and src/db", { "src/http/restore.ts": 'const a = (sql) => sql.unsafe("select 1");' }],
      ["SQL only in stores and src/db", { "src/fleet/a.ts": 'import { eq } from "drizzle-orm";\nconst a = () => eq;' }],
      [
        "a table is written by its owner alone",
        { "src/fleet/store.ts": "const a = (sql) => sql`with b as (select 1) update incidents i set status = ''`;" },
      ],
      [
        "a table is written by its owner alone",
        { "src/decisions/store.ts": "const a = (tx) => tx`insert into events (kind) values (1)`;" },
      ],
      [
        "a table is written by its owner alone",
        { "src/commands/store.ts": "const a = (orm, revokedTokens) => orm.delete(revokedTokens);" },
      ],
      ["kebab-case names", { "src/lib/backOff.ts": "" }],
      ["kebab-case names", { "tests/Unit/lib.test.ts": "" }],
      ["no default exports", { "src/lib/a.ts": "/** A. */\nexport default function a() {}" }],
      ["no barrels", { "src/lib/a.ts": 'export * from "./b.ts";' }],
      ["no barrels", { "src/lib/a.ts": 'export { b } from "./b.ts";' }],
      ["no barrels", { "src/lib/index.ts": "" }],
      ["at most 400 lines", { "src/lib/a.ts": "// a line\n".repeat(401) }],
      ["every exported thing has a doc comment", { "src/lib/a.ts": "export async function a() {}" }],
      ["every exported thing has a doc comment", { "src/lib/a.ts": "\nexport const A_MAX = 1;" }],
      ["every exported thing has a doc comment", { "src/lib/a.ts": "/** A. */\n\nexport interface A {}" }],
      ["no side effects and no state at import", { "src/lib/a.ts": "const a = () => 1;\na();" }],
      ["no side effects and no state at import", { "src/lib/a.ts": "let a = 1;\nconst b = () => a++;" }],
      ["no swallowed errors", { "src/lib/a.ts": "const a = (b) => { try { b(); } catch {} };" }],
      ["no swallowed errors", { "src/lib/a.ts": "const a = (b) => b().catch(() => undefined);" }],
      ["no test is skipped", { "tests/a.test.ts": ["test", 'skip("a", () => 1);'].join(".") }],
    ];
    for (const [rule, files] of broken) expect({ files, rules: rules(files) }).toEqual({ files, rules: [rule] });
  });

  test("let pass what they allow", () => {
    const files = {
      "src/main.ts":
        '#!/usr/bin/env bun\nconst run = () => import("./cli/serve.ts");\nrun().then(() => process.exit(0));',
      "src/cli/serve.ts": 'import { start } from "../server.ts";\nconst serve = () => start;',
      "src/server.ts": 'import { open } from "./db/open.ts";\n/** Wires. */\nexport const start = () => open;',
      "src/db/open.ts":
        'import type { Config } from "../config.ts";\n/** Opens. */\nexport const open = (c: Config) => c;',
      "src/config.ts": "/** Reads. */\nexport const read = () => process.env;",
      "src/config/env.ts": "/** Reads. */\nexport const env = () => Bun.env;",
      "src/fleet/agents.ts": 'import type { Incident } from "../incidents/model.ts";\nconst a = (b: Incident) => b;',
      "src/fleet/token-store.ts": "const find = (sql) => sql`select 1`;",
      "src/incidents/a-store.ts":
        "const a = (sql) => sql`with a as (select 1 for no key update) update incidents set status = ''`;",
      "src/fleet/lock-store.ts": "const a = (sql) => sql`select from incidents for no key update of i`;",
      "src/protocol/a.ts": "/** One thing. */\nexport const A = 1;\nexport type A = number;\n\n/* process.exit(1) */",
      "src/lib/a.ts": 'import type { B } from "./b.ts";\n/** A. */\nexport const a = (b: B) => [b, `a sql `];',
      "src/web/a.tsx":
        'import type { B } from "../http/b.ts";\nimport { A } from "../protocol/a.ts";\n/** C. */\nexport const C = (b: B) => <p>{b}{A}</p>;',
      "src/lib/b.ts": 'import type { a } from "./a.ts";\n/** B. */\nexport interface B extends ReturnType<typeof a> {}',
    };
    expect(inspect(new Map(Object.entries(files)))).toEqual([]);
  });
});
