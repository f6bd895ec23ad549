/**
 * Where the tables lie in a database that is not our own alone. Who began with a former version, and who uses the built-in
 * database, has them in three schemas. Else all lie in one: the first of the search path in which the role may make tables,
 * so that a role needs to own nothing but that schema. What keeps it from that is told with PostgreSQL's own reason, and with
 * the statement that mends it.
 */
import type { Sql } from "postgres";
import { errorMessage, OpsPilotError } from "../lib/errors.ts";
import { sqlStateOf } from "./away.ts";
import { SESSION_SETTINGS } from "./client.ts";
import { CLASSIC_LAYOUT, type DatabaseTarget, type Layout } from "./target.ts";

const OWN_JOURNAL = "opspilot_migrations";
/** What pg-boss takes as a schema's name. */
const NAME_OF_SCHEMA = /^[^"'%$.\\\p{Cc}]{1,50}$/u;

/** A right that is missing: the message has PostgreSQL's reason, and what its administrator runs to mend it. */
export class DatabaseRightsError extends OpsPilotError<"database_rights"> {
  readonly mend: string;

  constructor(why: string, mend: string, options?: ErrorOptions) {
    super("database_rights", `${why} (as an administrator of the database, run: ${mend})`, options);
    this.mend = mend;
  }
}

/** Who asks for what. */
type Login = Pick<DatabaseTarget, "user" | "database">;

/** One schema of the search path. */
interface Schema {
  name: string;
  mayCreate: boolean;
  hasTables: boolean;
  /** Not the tables of another OpsPilot's role. */
  mayRead: boolean;
}

/** Finds where the tables are, or may be made; our list of migrations begins with that hash. Changes nothing. Throws a DatabaseRightsError where they can be used by nobody. */
export async function settleLayout(sql: Sql, target: DatabaseTarget, firstMigration: string): Promise<Layout> {
  const schemas = await readSearchPath(sql);
  const there = schemas.find(({ hasTables, mayRead }) => hasTables && mayRead);
  if (there) return use(sql, target, oneSchema(there.name));
  if (await hasClassicTables(sql, firstMigration)) return use(sql, target, await classicLayout(sql));
  // Through a pooler that takes no settings, names without a schema are those of the first.
  const usable = target.isBare ? schemas.slice(0, 1) : schemas;
  const chosen = usable.find(({ mayCreate }) => mayCreate) ?? usable.find(({ hasTables }) => hasTables) ?? usable[0];
  if (chosen?.hasTables) return use(sql, target, oneSchema(chosen.name));
  await tryMaking(sql, target, chosen?.name);
  return oneSchema(chosen?.name ?? "");
}

/** What PostgreSQL says of a missing right, with what mends it; any other error as it is. */
export async function withMend<T>(work: Promise<T>, login: Login, schema?: string, owner?: string): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const mend = mendOf(error, login, schema, owner);
    throw mend === undefined ? error : new DatabaseRightsError(errorMessage(error), mend, { cause: error });
  }
}

/** Which settings of a session that takes none from us are not as they must be; undefined when all are. */
export async function requireSettings(sql: Sql, { user, database }: Login): Promise<void> {
  const rows = await sql<{ name: string; setting: string }[]>`
    select name, setting from pg_settings where name = any(${Object.keys(SESSION_SETTINGS)})`;
  const plain = (text = "") => text.replaceAll(" ", "").toLowerCase();
  // The drivers say these two themselves, or ask for the zone with each time.
  const isAsked = ({ name }: { name: string }) => !["client_encoding", "TimeZone"].includes(name);
  const wrong = rows
    .filter(isAsked)
    .find(({ name, setting }) => !agrees(plain(setting), plain(SESSION_SETTINGS[name])));
  if (!wrong) return;
  const value = `'${SESSION_SETTINGS[wrong.name]}'`;
  throw new DatabaseRightsError(
    `${wrong.name} is ${wrong.setting}, and the pooler takes no other from us`,
    `ALTER ROLE ${quoted(user)} IN DATABASE ${quoted(database)} SET ${wrong.name} = ${value}`,
  );
}

/** Of a list, such as "ISO, DMY", the first word is meant. */
function agrees(setting: string, wanted: string): boolean {
  return setting.split(",")[0] === wanted.split(",")[0];
}

async function readSearchPath(sql: Sql): Promise<Schema[]> {
  return sql<Schema[]>`
    select s.name, has_schema_privilege(n.oid, 'create') as "mayCreate", j.oid is not null as "hasTables",
      coalesce(has_table_privilege(j.oid, 'select'), false) as "mayRead"
    from unnest(current_schemas(false)) with ordinality s (name, no) join pg_namespace n on n.nspname = s.name
      left join pg_class j on j.relnamespace = n.oid and j.relname = ${OWN_JOURNAL}
    where s.name not like 'pg\\_%' order by s.no`;
}

/** Other programs may use Drizzle, too: the list must begin with our first migration. */
async function hasClassicTables(sql: Sql, firstMigration: string): Promise<boolean> {
  const [schema, table] = CLASSIC_LAYOUT.journal;
  const [there] = await sql<{ is: boolean }[]>`
    select coalesce(bool_or(has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')), false) as is
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema} and c.relname = ${table}`;
  if (there?.is !== true) return false;
  const rows = await sql`select from ${sql(schema)}.${sql(table)} where hash = ${firstMigration} limit 1`;
  return rows.length > 0;
}

async function classicLayout(sql: Sql): Promise<Layout> {
  const [row] = await sql<{ name: string }[]>`
    select n.nspname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = to_regclass('agents')`;
  return { ...CLASSIC_LAYOUT, tables: row?.name ?? CLASSIC_LAYOUT.tables };
}

/** Whoever made the tables may have kept them to itself. */
async function use(sql: Sql, login: Login, layout: Layout): Promise<Layout> {
  const owner = await ownerOf(sql, layout);
  const read = async () => void (await sql`select from ${sql(layout.tables)}.agents limit 0`);
  if (owner !== undefined) await withMend(read(), login, layout.tables, owner);
  return layout;
}

/** The role that made the tables; undefined while there are none. */
export async function ownerOf(sql: Sql, { tables }: Layout): Promise<string | undefined> {
  const [row] = await sql<{ owner: string }[]>`
    select tableowner as owner from pg_tables where schemaname = ${tables} and tablename = 'agents'`;
  return row?.owner;
}

/** PostgreSQL's own word on whether tables can be made there: one is made, and taken back at once. */
async function tryMaking(sql: Sql, login: Login, schema: string | undefined): Promise<void> {
  const undone = new Error("undone");
  const table = schema === undefined ? sql(OWN_JOURNAL) : sql`${sql(schema)}.${sql(OWN_JOURNAL)}`;
  const attempt = sql.begin(async (tx) => {
    await tx`create table ${table} ()`;
    throw undone;
  });
  const made = attempt.catch((error) => {
    if (error !== undone) throw error;
  });
  await withMend(made, login, schema);
  if (schema !== undefined && !NAME_OF_SCHEMA.test(schema))
    throw new DatabaseRightsError(
      `the schema "${schema}" has a name that the jobs' library does not take`,
      `CREATE SCHEMA opspilot AUTHORIZATION ${quoted(login.user)}; ALTER ROLE ${quoted(login.user)} SET search_path = opspilot`,
    );
}

function oneSchema(name: string): Layout {
  return { tables: name, jobs: name, journal: [name, OWN_JOURNAL] };
}

/** SQLSTATE 42501: a right is missing; 3F000: the search path names no schema that is there. */
function mendOf(error: unknown, { user, database }: Login, schema?: string, owner?: string): string | undefined {
  const state = sqlStateOf(error);
  const role = quoted(user);
  if (state === "3F000") return `CREATE SCHEMA ${role} AUTHORIZATION ${role}`;
  if (state !== "42501") return undefined;
  if (owner !== undefined) return `GRANT ${quoted(owner)} TO ${role}`;
  if (schema !== undefined) return `GRANT CREATE ON SCHEMA ${quoted(schema)} TO ${role}`;
  return `GRANT CONNECT ON DATABASE ${quoted(database)} TO ${role}`;
}

function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
