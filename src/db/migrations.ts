import { createHash } from "node:crypto";
import type { MigrationMeta } from "drizzle-orm/migrator";
import initial from "../../drizzle/0000_initial.sql" with { type: "text" };
import storage from "../../drizzle/0001_storage.sql" with { type: "text" };
import modelCalls from "../../drizzle/0002_model_calls.sql" with { type: "text" };
import decisions from "../../drizzle/0003_decisions.sql" with { type: "text" };
import revisions from "../../drizzle/0004_revisions.sql" with { type: "text" };
import journal from "../../drizzle/meta/_journal.json" with { type: "json" };
import { assert } from "../lib/errors.ts";

/** Every file of drizzle/, named one by one: the executable carries what is imported. A test compares it with the folder. */
const FILES: Readonly<Record<string, string>> = {
  "0000_initial": initial,
  "0001_storage": storage,
  "0002_model_calls": modelCalls,
  "0003_decisions": decisions,
  "0004_revisions": revisions,
};

/** The migrations in order, in the form in which Drizzle's own reader gives them to its migrator. */
export function embeddedMigrations(): MigrationMeta[] {
  return journal.entries.map(({ tag, when, breakpoints }) => {
    const text = FILES[tag];
    assert(text !== undefined, `migration ${tag} is in the list`);
    return {
      sql: text.split("--> statement-breakpoint"),
      bps: breakpoints,
      folderMillis: when,
      hash: createHash("sha256").update(text).digest("hex"),
    };
  });
}
