import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { DatabaseUrlError, describeTarget, parseDatabaseUrl } from "../../src/db/target.ts";

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
    ["postgres://me:hunter2@db:99999/ops", "is not a postgres:// URL"],
    ["postgres://me:hunter2@/ops?host=", "names no host"],
    ["postgres://:hunter2@db/ops", "names no user"],
    ["postgres://me:hunter2@db", "names no database"],
    ["postgres://db", "names no user, no database"],
    ["postgres://me:hunter2@a,b/ops", "names several hosts"],
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
  });
});
