import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { DatabaseUrlError, parseDatabaseUrl } from "../../src/config/database-url.ts";
import { describeTarget } from "../../src/db/target.ts";

const OWN_NAME = Bun.spawnSync(["id", "-un"]).stdout.toString().trim();
const WHOLE = { host: "db", port: 5432, user: "me", password: "secret", database: "ops", tls: { mode: "prefer" } };

describe("a database's URL", () => {
  test.each([
    ["postgres://me:secret@db/ops", {}],
    ["postgresql://me:secret@db/ops", {}],
    ["postgres://me:secret@db:6543/ops", { port: 6543 }],
    ["postgres://me:secret@[::1]:6543/ops", { host: "::1", port: 6543 }],
    ["postgres://m%40e:s%3A%2F%23@db/o%2Fps", { user: "m@e", password: "s:/#", database: "o/ps" }],
    ["postgres://me:secret@db/ops?sslmode=disable", { tls: { mode: "disable" } }],
    ["postgres://me:secret@db/ops?sslmode=require&channel_binding=require", { tls: { mode: "require" } }],
    ["postgres://me:secret@db/ops?sslmode=verify-full&sslrootcert=system", { tls: { mode: "verify-full" } }],
    ["postgres://me:secret@localhost/ops?host=/run/pg", { host: "/run/pg", tls: { mode: "disable" } }],
    ["postgres://me:secret@/ops?host=/run/pg&port=5433", { host: "/run/pg", port: 5433, tls: { mode: "disable" } }],
    ["postgres://me:secret@%2Frun%2Fpg/ops", { host: "/run/pg", tls: { mode: "disable" } }],
    ["postgres://me@db/ops", { password: "" }],
    ["postgres://me@/ops?host=/run/pg", { host: "/run/pg", password: "", tls: { mode: "disable" } }],
    ["postgres:///ops?host=/run/pg", { host: "/run/pg", user: OWN_NAME, password: "", tls: { mode: "disable" } }],
  ] as const)("%p is understood", (text, difference) => {
    expect(parseDatabaseUrl(text)).toEqual({ ...WHOLE, ...difference } as ReturnType<typeof parseDatabaseUrl>);
  });

  const [a, b] = [
    { host: "a", port: 5432 },
    { host: "b", port: 6543 },
  ];
  test.each([
    ["postgres://me:secret@a,b:6543/ops", [a, b], "read-write"],
    ["postgres://me:secret@a:5432,b:6543/ops?target_session_attrs=primary", [a, b], "primary"],
    ["postgres://me:secret@/ops?host=a,b&port=5432,6543&target_session_attrs=any", [a, b], "any"],
    ["postgres://me:secret@a/ops?target_session_attrs=read-write", [a], "read-write"],
    ["postgres://me:secret@[::1]:6543,a/ops", [{ host: "::1", port: 6543 }, a], "read-write"],
    [
      "postgres://me:secret@/ops?host=/run/a,/run/b&port=1",
      ["/run/a", "/run/b"].map((host) => ({ host, port: 1 })),
      "read-write",
    ],
  ] as const)("%p is a choice of hosts", (text, hosts, wanted) => {
    expect(parseDatabaseUrl(text)).toMatchObject({ ...hosts[0], choice: { hosts, wanted } } as never);
  });

  test("of one host is no choice, unless it says what that must be", () => {
    for (const text of ["postgres://me:secret@db/ops", "postgres://me:secret@db/ops?target_session_attrs=any"])
      expect(parseDatabaseUrl(text).choice).toBeUndefined();
  });

  test("with roots of its own checks the certificate, as libpq does", () => {
    const path = join(import.meta.dir, "../../package.json");
    const { tls } = parseDatabaseUrl(`postgres://me:secret@db/ops?sslmode=require&sslrootcert=${path}`);
    expect(tls.mode).toBe("verify-ca");
    expect(tls.ca).toContain("opspilot");
  });

  test.each([
    ["mysql://me:hunter2@db/ops", "is not a postgres:// URL"],
    ["me:hunter2@db", "is not a postgres:// URL"],
    ["", "is not a postgres:// URL"],
    ["postgres://me:hunter2@db:99999/ops", "has a port that is none"],
    ["postgres://me:hunter2@db:0/ops", "has a port that is none"],
    ["postgres://me:hun/ter2@db/ops", "has a port that is none"],
    ["postgres://me:hunter2@/ops?host=", "names no host"],
    ["postgres://:hunter2@db/ops", "names no user"],
    ["postgres://me:hunter2@db", "names no database"],
    ["postgres://db", "names no user, no database"],
    ["postgres://me:hunter2@a,b:x/ops", "has a port that is none (host 2)"],
    ["postgres://me:hunter2@a,,c/ops", "names no host between two commas, or at the end of the list (host 2)"],
    ["postgres://me:hunter2@a,b,/ops", "names no host between two commas, or at the end of the list (host 3)"],
    ["postgres://me:hunter2@,b/ops", "names no host"],
    ["postgres://me:hunter2@/ops?host=a,b,c&port=1,2", "names 2 ports for 3 hosts"],
    [`postgres://me:hunter2@${Array(17).fill("a").join(",")}/ops`, "names more than 16 hosts"],
    ["postgres://me:hunter2@a,b/ops?target_session_attrs=standby", "not one of read-write, primary, any"],
    ["postgres://me:hunter2@/ops?host=/run/pg,db", "names sockets and other hosts"],
    [
      "postgres://:hunter2@a:0,b,/?sslmode=maybe&target_session_attrs=read-only",
      "names no user, no database; has a port that is none (host 1); names no host between two commas, or at the end of the " +
        "list (host 3); has an unknown sslmode; expected one of disable, prefer, require, verify-ca, verify-full; " +
        "has a target_session_attrs that is not one of read-write, primary, any: the server writes",
    ],
    ["postgres://me:hunter2%@db/ops", "has a stray %"],
    ["postgres://me:hunter2@db/ops?host=/run/pg&port=x", "has a port that is none"],
    ["postgres://me:hunter2@db/ops?sslmode=maybe", "unknown sslmode"],
    ["postgres://me:hunter2@db/ops?sslrootcert=/nowhere.pem", "sslrootcert that cannot be read"],
  ])("%p is refused without its password", (text, message) => {
    const error = (() => {
      try {
        return parseDatabaseUrl(text);
      } catch (caught) {
        return caught;
      }
    })();
    expect(error).toBeInstanceOf(DatabaseUrlError);
    expect(String(error)).toContain(message);
    expect(String(error)).not.toContain("hunter2");
  });

  test("is described without user and password", () => {
    expect(describeTarget(parseDatabaseUrl("postgres://me:secret@db/ops"))).toBe("ops on db:5432");
    expect(describeTarget(parseDatabaseUrl("postgres://me:secret@/ops?host=/run/pg"))).toBe("ops (socket in /run/pg)");
    expect(describeTarget(parseDatabaseUrl("postgres://me:secret@a,b:6543/ops"))).toBe("ops on a:5432, b:6543");
  });
});
