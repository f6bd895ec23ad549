import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHostFacts } from "../../src/agent/facts.ts";
import { agentUnit } from "../../src/agent/install/unit.ts";
import { quiet } from "../support/log.ts";

const root = mkdtempSync(join(tmpdir(), "opspilot-facts-"));
afterAll(() => rmSync(root, { recursive: true }));

function writeNames(hostname: string, os: string): void {
  mkdirSync(join(root, "proc/sys/kernel"), { recursive: true });
  mkdirSync(join(root, "etc"), { recursive: true });
  writeFileSync(join(root, "proc/sys/kernel/hostname"), `${hostname}\n`);
  writeFileSync(join(root, "etc/os-release"), `NAME="Debian GNU/Linux"\nPRETTY_NAME="${os}"\n`);
}

test("a host that is renamed, and upgraded, has its new names in the next heartbeat", async () => {
  writeNames("localhost", "Debian GNU/Linux 12 (bookworm)");
  const facts = createHostFacts({ version: "1.2.3", log: quiet, extra: () => ({}), root });
  expect(await facts()).toMatchObject({ hostname: "localhost", os: "Debian GNU/Linux 12 (bookworm)" });
  writeNames("web-1", "Debian GNU/Linux 13 (trixie)");
  expect(await facts()).toMatchObject({ hostname: "web-1", os: "Debian GNU/Linux 13 (trixie)" });
});

test("each run of an agent has an id of its own, and that of the boot it runs in", async () => {
  mkdirSync(join(root, "proc/sys/kernel/random"), { recursive: true });
  writeFileSync(join(root, "proc/sys/kernel/random/boot_id"), "0c7f8a62-7b4e-4d0e-9d2e-0a55bb1c5a01\n");
  const run = () => createHostFacts({ version: "1.2.3", log: quiet, extra: () => ({}), root });
  const facts = run();
  const { instance } = await facts();
  expect(instance).toEqual({ run: expect.any(String), boot: "0c7f8a62-7b4e-4d0e-9d2e-0a55bb1c5a01" });
  expect((await facts()).instance).toEqual(instance);
  expect((await run()()).instance).not.toEqual(instance);
});

test("the agent's unit sees the host's present name", () => {
  const made = { executable: false, user: false };
  expect(agentUnit({ user: "opspilot-agent", groups: [], made })).not.toContain("ProtectHostname");
});
