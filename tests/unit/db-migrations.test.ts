import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { generateDrizzleJson, generateMigration } from "drizzle-kit/api";
import { readMigrationFiles } from "drizzle-orm/migrator";
import config from "../../drizzle.config.ts";
import { embeddedMigrations } from "../../src/db/migrate.ts";

const TOP = join(import.meta.dir, "../..");
const FOLDER = join(TOP, "drizzle");

describe("the migrations in the executable", () => {
  test("are those of the folder, as Drizzle itself reads them", () => {
    expect(embeddedMigrations()).toEqual(readMigrationFiles({ migrationsFolder: FOLDER }));
  });

  test("leave no file of the folder out", () => {
    const files = [...new Bun.Glob("*.sql").scanSync(FOLDER)];
    expect(embeddedMigrations()).toHaveLength(files.length);
  });

  test("are in the order in which they were made", () => {
    const made = embeddedMigrations().map(({ folderMillis }) => folderMillis);
    expect(made).toEqual([...new Set(made)].sort((a, b) => a - b));
  });

  test("make the tables of the schema, none of it left out", async () => {
    const newest = [...new Bun.Glob("meta/*_snapshot.json").scanSync(FOLDER)].sort().at(-1) ?? "";
    const made = await Bun.file(join(FOLDER, newest)).json();
    const files = [config.schema ?? []].flat();
    expect(files.sort()).toEqual(
      [...new Bun.Glob("src/db/*schema.ts").scanSync(TOP)].map((file) => `./${file}`).sort(),
    );
    const tables = await Promise.all(files.map((file) => import(join(TOP, file))));
    const wanted = generateDrizzleJson(Object.assign({}, ...tables), made.prevId);
    expect(await generateMigration(made, wanted)).toEqual([]);
  });
});
