import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { backUp } from "../../src/backup/backup.ts";
import { type ArchiveError, PIECE_BYTES } from "../../src/backup/model.ts";
import { filePlace, type Place } from "../../src/backup/place.ts";
import { checkArchive, requireEmpty, restore } from "../../src/backup/restore.ts";
import { s3Place } from "../../src/backup/s3-place.ts";
import type { Database } from "../../src/db/client.ts";
import { embeddedMigrations, migrate, readMigrationState } from "../../src/db/migrate.ts";
import { migrateJobs } from "../../src/jobs/jobs.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { quiet } from "../support/log.ts";
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startS3 } from "../support/s3.ts";
import { createTar } from "../support/tar.ts";
import { until } from "../support/until.ts";

/** Everything that a form of text could take for something else. */
const HARD = 'tab\there, new\nline, \\N, \\., \\\\, "quotes", \r\u2028 and 😀\u0001';
const MAKER = { version: "1.2.3", nowMs: Date.UTC(2026, 0, 2) };
const NEVER = new AbortController().signal;

let folder = "";
let full: TestDatabase;
let place: Place;
const opened: TestDatabase[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "opspilot-backup-"));
  full = await createTestDatabase();
  await fill(full);
  place = filePlace(join(folder, "full.tar.zst"));
  await backUp(full.database, MAKER, place, NEVER);
}, 60_000);
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});
afterAll(async () => {
  await full.close();
  await rm(folder, { recursive: true, force: true });
});

async function empty(): Promise<TestDatabase> {
  const made = await createEmptyDatabase();
  opened.push(made);
  return made;
}

/** Rows of many kinds; incidents that speak of each other, forwards too; more than one piece; numbers that were given out in vain. */
async function fill(own: TestDatabase): Promise<void> {
  const { sql } = own.database;
  await migrateJobs(own.database, quiet);
  const agent = await addAgent(own);
  const first = await addIncident(own, agent, { rawError: HARD, source: "a\\b" });
  const second = await addIncident(own, agent, { previousId: first, resolvedAgoS: 5 });
  await sql`update incidents set next_id = ${second}, parent_id = ${second} where id = ${first}`;
  await sql`
    insert into alerts (uuid, agent_id, incident_id, state, occurred_at, received_at, raw_error)
    select gen_random_uuid(), ${agent}, ${first}, 'firing', '2026-01-01 12:00:00.123456+02', now(), repeat('x', 1000) || n
    from generate_series(1, ${Math.ceil((1.2 * PIECE_BYTES) / 1_000)}) n`;
  await sql`delete from incidents where id = ${await addIncident(own, agent)}`;
  await sql`
    insert into pgboss.queue (name, policy, retry_limit, retry_delay, retry_backoff, expire_seconds, retention_seconds,
      deletion_seconds, partition, table_name)
    values ('incidents.explain', 'standard', 2, 1, true, 60, 1000, 1000, false, 'job_common')`;
  await sql`
    insert into pgboss.job (name, data, state) values ('incidents.explain', ${sql.json({ ids: [first] })}, 'created'),
      ('incidents.explain', ${sql.json({ ids: [first] })}, 'active'), ('incidents.explain', '{}', 'completed')`;
}

/** What a backup of it would have; the digests are those of all its rows, in order. */
async function contentOf(database: Database) {
  const { manifest } = await backUp(database, MAKER, filePlace(join(folder, "content.tar.zst")), NEVER);
  return manifest;
}

async function restoreTo(database: Database, from: Place) {
  const archive = await checkArchive(from);
  await requireEmpty(database, archive);
  return restore(database, archive, quiet);
}

const refusalOf = (work: Promise<unknown>) =>
  work.then(
    () => "taken",
    (error: ArchiveError) => `${error.reason}: ${error.message}`,
  );

/** Writes, and is told to stop with the first bytes. */
function abortingAtFirst(write: (sink: Writable) => Promise<void>, stopping: AbortController) {
  return (sink: Writable) => {
    const go = sink.write.bind(sink);
    sink.write = (chunk: unknown) => {
      stopping.abort();
      return go(chunk);
    };
    return write(sink);
  };
}

describe("a backup", () => {
  test("has every row of every table as it was, and what jobs had not been done", async () => {
    const { database } = await empty();
    expect(await restoreTo(database, place)).toEqual([]);
    const { preface, manifest } = await checkArchive(place);
    expect(preface).toMatchObject({ format: 1, opspilot: "1.2.3", made_at: "2026-01-02T00:00:00.000Z" });
    expect(await contentOf(database)).toEqual(manifest);
    const rows = Object.fromEntries(manifest.tables.map(({ kind, name, rows }) => [`${kind}/${name}`, rows]));
    expect(rows).toMatchObject({ "tables/agents": 1, "tables/incidents": 2, "jobs/queue": 1, "jobs/job": 2 });
    const [incident] = await database.sql`select raw_error, parent_id, next_id from incidents order by id`;
    expect({ ...incident }).toEqual({ raw_error: HARD, parent_id: 2, next_id: 2 });
    // The number that was given out in vain is not given out again.
    const [agent] = await database.sql`select id from agents`;
    const next = await addIncident({ database } as TestDatabase, agent?.id);
    expect(next).toBe(4);
    const references = await database.sql`select conname from pg_constraint where contype = 'f' and convalidated`;
    expect(references.length).toBe((await full.database.sql`select from pg_constraint where contype = 'f'`).length);
    expect(await readMigrationState(database)).toEqual({ missing: 0, isNewer: false });
  }, 60_000);

  test("is of one moment, whatever is written meanwhile", async () => {
    const { sql } = full.database;
    const before = await contentOf(full.database);
    const racing: Place = {
      ...filePlace(join(folder, "racing.tar.zst")),
      write: async (write) => {
        await sql`insert into revoked_tokens (token_hash, agent_id) select 'later', id from agents`;
        await filePlace(join(folder, "racing.tar.zst")).write(write);
      },
    };
    const { manifest } = await backUp(full.database, MAKER, racing, NEVER);
    await sql`delete from revoked_tokens`;
    expect(manifest).toEqual(before);
  });

  test("is a private file that is there as a whole or not at all", async () => {
    const path = join(folder, "private.tar.zst");
    await Bun.write(path, "the one before");
    const stopping = new AbortController();
    const stopped = filePlace(path);
    const half: Place = {
      ...stopped,
      write: (write) => stopped.write(abortingAtFirst(write, stopping)),
    };
    expect(await refusalOf(backUp(full.database, MAKER, half, stopping.signal))).toContain("abort");
    expect(await Bun.file(path).text()).toBe("the one before");
    const writing = () => full.database.sql`select from pg_stat_activity where application_name = 'opspilot backup'`;
    await until(async () => (await writing()).length === 0, { what: "the database does not go on sending" });
    await backUp(full.database, MAKER, stopped, NEVER);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readdir(folder)).filter((name) => name.includes(".part"))).toEqual([]);
    expect((await checkArchive(stopped)).preface.opspilot).toBe("1.2.3");
  }, 60_000);

  test("of a former version is brought up to date with its rows", async () => {
    const old = await empty();
    const access = embeddedMigrations()[12];
    await migrate(old.database, quiet, { upTo: access?.folderMillis ?? 0 });
    const agent = await addAgent(old);
    await addIncident(old, agent, { source: "old" });
    const from = filePlace(join(folder, "old.tar.zst"));
    await backUp(old.database, MAKER, from, NEVER);
    const fresh = await empty();
    await restoreTo(fresh.database, from);
    // The same by the server's own way: a data directory of a former version is opened.
    await migrate(old.database, quiet);
    for (const { database } of [fresh, old]) {
      expect(await readMigrationState(database)).toEqual({ missing: 0, isNewer: false });
      const [row] = await database.sql`select a.id, source, i.status from incidents i join agents a on a.id = agent_id`;
      expect({ ...row }).toEqual({ id: agent, source: "old", status: "analyzed" });
    }
    await migrateJobs(old.database, quiet);
    expect(await contentOf(fresh.database)).toEqual(await contentOf(old.database));
  }, 60_000);
});

describe("an address of S3", () => {
  test("takes a backup, as a whole or not at all, and gives it back", async () => {
    const { endpoint, stop } = await startS3(join(folder, "s3"));
    const settings = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER", sessionToken: null, region: null, endpoint };
    const there = s3Place("s3://backups/daily/opspilot.tar.zst", settings);
    try {
      await backUp(full.database, MAKER, there, NEVER);
      const { manifest, preface } = await checkArchive(there);
      expect(manifest).toEqual(await contentOf(full.database));
      const stopping = new AbortController();
      const other = { ...MAKER, version: "9.9.9" };
      const half = {
        ...there,
        write: (write: Parameters<Place["write"]>[0]) => there.write(abortingAtFirst(write, stopping)),
      };
      expect(await refusalOf(backUp(full.database, other, half, stopping.signal))).toContain("abort");
      expect((await checkArchive(there)).preface).toEqual(preface);
      const none = s3Place("s3://backups/none", settings);
      expect(await refusalOf(checkArchive(none))).toContain("s3://backups/none: The specified key does not exist");
      const away = s3Place("s3://nowhere/none", settings);
      expect(await refusalOf(backUp(full.database, MAKER, away, NEVER))).toContain("s3://nowhere/none: ");
    } finally {
      await stop();
    }
    expect(await refusalOf(backUp(full.database, MAKER, there, NEVER))).toContain(
      "s3://backups/daily/opspilot.tar.zst: ",
    );
    expect(() => s3Place("s3://backups", settings)).toThrow("expected s3://bucket/key");
    expect(() => s3Place("s3://a/b", { ...settings, accessKeyId: null })).toThrow("needs AWS_ACCESS_KEY_ID");
  }, 60_000);
});

describe("a restore", () => {
  test("refuses what is damaged, cut off, foreign or newer, and changes nothing", async () => {
    const whole = await Bun.file(place.name).bytes();
    const flipped = whole.slice();
    flipped[Math.floor(whole.length / 2)] = (flipped[Math.floor(whole.length / 2)] ?? 0) ^ 1;
    const { preface, manifest } = await checkArchive(place);
    const packed = (...files: [string, unknown][]) => Bun.zstdCompressSync(createTar(files));
    const empties = { tables: [], sequences: [] };
    const one = { kind: "tables", name: "agents", columns: ["id"], rows: 2, bytes: 2, sha256: "0" };
    const cases: [string, Uint8Array, string][] = [
      ["flipped", flipped, "damaged"],
      ["cut", whole.slice(0, whole.length - 40), "cut off"],
      ["half", whole.slice(0, whole.length / 2), "cut off"],
      ["empty", new Uint8Array(), "cut off"],
      ["text", Buffer.from("hello, world"), "no backup"],
      ["another tar", packed(["readme.txt", "x"]), "no backup of OpsPilot's"],
      ["no end", packed(["opspilot.json", preface]), "cut off"],
      [
        "newer format",
        packed(["opspilot.json", { ...preface, format: 2 }], ["manifest.json", empties]),
        "newer OpsPilot",
      ],
      [
        "newer tables",
        packed(["opspilot.json", { ...preface, migration: 9e12, opspilot: "9.0" }]),
        "OpsPilot 9.0, which is newer",
      ],
      ["other tables", packed(["opspilot.json", { ...preface, migration: 5 }]), "of no version"],
      ["unknown file", packed(["opspilot.json", preface], ["tables/../../x", "x"]), "unknown"],
      [
        "fewer rows",
        packed(["opspilot.json", preface], ["manifest.json", { ...manifest, tables: [one] }]),
        "0 rows of 2",
      ],
      [
        "more rows",
        packed(["opspilot.json", preface], ["tables/agents/1.copy", "x\n"], ["manifest.json", empties]),
        "not in its list",
      ],
    ];
    for (const [name, bytes, why] of cases) {
      const path = join(folder, "bad.tar.zst");
      await Bun.write(path, bytes);
      expect([name, await refusalOf(checkArchive(filePlace(path)))]).toEqual([name, expect.stringContaining(why)]);
    }
  });

  test("leaves a database alone that is not empty, and one that it could not fill", async () => {
    const archive = await checkArchive(place);
    expect(await refusalOf(requireEmpty(full.database, archive))).toContain("not empty");
    const { database } = await empty();
    // Of what was checked the second half is gone when it is read again.
    const whole = await Bun.file(place.name).bytes();
    const torn = {
      ...archive,
      place: { ...place, read: () => new Blob([whole.slice(0, whole.length - 40)]).stream() },
    };
    expect(await refusalOf(restore(database, torn, quiet))).toContain("cut off");
    const [rows] =
      await database.sql`select (select count(*) from agents)::int as agents, (select count(*) from alerts)::int as alerts`;
    expect({ ...rows }).toEqual({ agents: 0, alerts: 0 });
    expect(await restoreTo(database, place)).toEqual([]);
  }, 60_000);
});
