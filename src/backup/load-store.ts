import type { Sql, TransactionSql } from "postgres";
import type { Layout } from "../db/target.ts";
import type { Piece } from "./archive.ts";
import { ownTables, quoted } from "./dump-store.ts";
import { ArchiveError, type Kind, type Manifest, type TableEntry } from "./model.ts";

/** Whether any of our tables that are there has a row. */
export async function hasRows(sql: Sql, { tables: schema }: Layout): Promise<boolean> {
  const there = await sql<{ name: string }[]>`
    select tablename::text as name from pg_tables where schemaname = ${schema} and tablename = any(${ownTables()}::text[])`;
  for (const { name } of there) {
    const [row] = await sql`select from ${sql(schema)}.${sql(name)} limit 1`;
    if (row) return true;
  }
  return false;
}

/** Puts rows into empty tables, within one transaction. */
export interface Loader {
  add(piece: Piece): Promise<void>;
  /** Lets numbers go on where they were, and looks whether what is spoken of is there. Throws where rows are not those of the list. */
  finish(manifest: Manifest): Promise<void>;
}

/** `tables` are to come; rows of tables that are not among them are passed over. */
export async function createLoader(tx: TransactionSql, layout: Layout, tables: readonly TableEntry[]): Promise<Loader> {
  const schemaOf = (kind: Kind) => (kind === "tables" ? layout.tables : layout.jobs);
  const known = new Map(tables.map((table) => [`${table.kind}/${table.name}`, { ...table, loaded: 0 }]));
  const names = tables.filter(({ kind }) => kind === "tables").map(({ name }) => name);
  // A row may speak of one that comes later.
  const references = await dropReferences(tx, layout.tables, names);
  return {
    async add({ kind, name, bytes }) {
      const table = known.get(`${kind}/${name}`);
      if (!table) return;
      const columns = table.columns.map(quoted).join(", ");
      const into = `${quoted(schemaOf(kind))}.${quoted(name)}`;
      // Our patch of the driver sends them with the statement.
      const options = { copied: bytes } as NonNullable<Parameters<TransactionSql["unsafe"]>[2]>;
      const { count } = await tx.unsafe(`copy ${into} (${columns}) from stdin`, [], options);
      table.loaded += count;
    },
    async finish({ sequences }) {
      const short = [...known.values()].find(({ loaded, rows }) => loaded !== rows);
      if (short) throw new ArchiveError(`of ${short.name} ${short.loaded} rows of ${short.rows} could be restored`);
      for (const { table, column, last } of sequences.filter(({ table }) => names.includes(table))) {
        const of = `${quoted(layout.tables)}.${quoted(table)}`;
        if (last !== null) await tx`select setval(pg_get_serial_sequence(${of}, ${column}), ${last}::bigint)`;
      }
      for (const statement of references) await tx.unsafe(statement);
    },
  };
}

/** Gives the statements that make them again. */
async function dropReferences(tx: TransactionSql, schema: string, names: readonly string[]): Promise<string[]> {
  const found = await tx<{ table: string; name: string; definition: string }[]>`
    select t.relname::text as "table", c.conname::text as name, pg_get_constraintdef(c.oid) as definition
    from pg_constraint c join pg_class t on t.oid = c.conrelid join pg_namespace n on n.oid = t.relnamespace
    where c.contype = 'f' and n.nspname = ${schema} and t.relname = any(${names as string[]}::text[])`;
  const statements: string[] = [];
  for (const { table, name, definition } of found) {
    const alter = `alter table ${quoted(schema)}.${quoted(table)}`;
    await tx.unsafe(`${alter} drop constraint ${quoted(name)}`);
    statements.push(`${alter} add constraint ${quoted(name)} ${definition}`);
  }
  return statements;
}

/** Whether the table is there with all these columns. */
export async function fits(
  sql: Sql | TransactionSql,
  layout: Layout,
  { kind, name, columns }: TableEntry,
): Promise<boolean> {
  const schema = kind === "tables" ? layout.tables : layout.jobs;
  const rows = await sql<{ column: string }[]>`
    select a.attname::text as "column" from pg_attribute a join pg_class c on c.oid = a.attrelid
      join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname = ${name} and a.attnum > 0 and not a.attisdropped`;
  const there = new Set(rows.map(({ column }) => column));
  return columns.every((column) => there.has(column));
}
