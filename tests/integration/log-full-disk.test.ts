import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { freePort } from "../support/executable.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

test("a server whose log is a file on a full disk goes on, and ends when it is asked to", async () => {
  const port = String(await freePort());
  const server = Bun.spawn([process.execPath, "--no-env-file", MAIN, "serve"], {
    env: { DATABASE_URL: database.url, PORT: port, LOG_LEVEL: "debug", HOME: "/nonexistent" },
    stdout: Bun.file("/dev/full"),
    stderr: "pipe",
  });
  const isReady = async () => {
    if (server.exitCode !== null) throw new Error(`it ended with ${server.exitCode}: ${await server.stderr.text()}`);
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { keepalive: false }).catch(() => null);
    return answer?.status === 200;
  };
  try {
    await until(isReady, { ms: 20_000, what: "the server is ready" });
    for (let n = 0; n < 20; n++) expect(await isReady()).toBe(true);
  } finally {
    server.kill();
    await server.exited;
  }
  expect(server.exitCode).toBe(0);
}, 180_000);
