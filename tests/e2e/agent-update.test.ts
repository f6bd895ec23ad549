import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../package.json" with { type: "json" };
import { emptyFolder, killAndWait, removeFolder } from "../support/e2e.ts";
import { buildExecutable, type RunningExecutable, startExecutable } from "../support/executable.ts";
import { canMakeHosts, makeUnitHost, type UnitHost } from "../support/unit-host.ts";
import { until } from "../support/until.ts";

const ADMIN_TOKEN = "a-token-of-the-administrator";
const LIMIT_MS = 240_000;

describe.each(canMakeHosts() ? ["a host of its own"] : [])("by the executable, on %s", () => {
  let folder = "";
  let server: RunningExecutable;
  let host: UnitHost;
  let agentId = "";
  beforeAll(async () => {
    folder = await emptyFolder();
    host = await makeUnitHost(join(folder, "host"));
    server = await startExecutable({ dir: join(folder, "server"), env: { ADMIN_TOKEN } });
    await server.waitReady(60_000);
  }, LIMIT_MS);
  afterAll(async () => {
    await host.stop();
    await server.stop();
    await removeFolder(folder);
  }, LIMIT_MS);

  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON the server answers
  async function api(path: string, body?: unknown): Promise<any> {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    const method = body === undefined ? "GET" : "POST";
    return (
      await fetch(server.url + path, { method, headers, body: body === undefined ? null : JSON.stringify(body) })
    ).json();
  }

  const local = (name = "opspilot") => join(folder, "host/local/bin", name);
  const inode = (name?: string) => statSync(local(name)).ino;
  /** The file that the agent's process runs, by whichever name. */
  const running = () => statSync(`/proc/${host.agentPid()}/exe`, { throwIfNoEntry: false })?.ino;

  /** Another build of the same version: one that differs in what an agent has no use for, the packed PostgreSQL. */
  async function otherBuild(name: string): Promise<void> {
    const bytes = Buffer.from(await Bun.file(await buildExecutable()).bytes());
    const at = bytes.lastIndexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd])) + 1_000_000;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at);
    await Bun.write(join(host.root, "opt", name), bytes);
  }

  test(
    "the pasted command installs the agent, which then is connected with the server's version",
    async () => {
      const { id, install } = await api("/v1/agents", {});
      agentId = id;
      expect(install).toStartWith(`curl -fsSL ${server.url}/install.sh | sudo sh -s -- --token opa_`);
      const { status, text } = await host.run(`${install.replace("sudo ", "")} --allow update_agent`);
      expect({ status, text }).toEqual({ status: 0, text: expect.stringContaining(`Installing OpsPilot ${version}`) });
      expect(text).toContain("wrote /usr/local/bin/opspilot");
      const isOnline = async () => {
        const agent = await api(`/v1/agents/${id}`);
        return agent.status === "online" && agent.version !== null && agent;
      };
      const agent = await until(isOnline, { ms: 60_000, what: "the agent is online" });
      expect(agent).toMatchObject({ version, outdated: false });
    },
    LIMIT_MS,
  );

  test(
    "`opspilot agent update` runs another build in its place, and the server's again",
    async () => {
      expect(await host.run("opspilot agent update")).toEqual({
        status: 0,
        text: "nothing to do: this is what the server hands out\n",
      });
      await otherBuild("other");
      const before = inode();
      const other = await host.run("opspilot agent update /opt/other");
      expect(other).toEqual({ status: 0, text: expect.stringContaining(`updated: ${version} → ${version}`) });
      expect(inode("opspilot.previous")).toBe(before);
      expect([inode() === before, running()]).toEqual([false, inode()]);

      const back = await host.run("opspilot agent update");
      expect(back).toEqual({ status: 0, text: expect.stringContaining(`downloading ${server.url}/download/`) });
      expect(running()).toBe(inode());
      const isServers = Buffer.compare(readFileSync(local()), readFileSync(await buildExecutable())) === 0;
      expect([isServers, readFileSync(local("opspilot.trial"), "utf8")]).toEqual([true, ""]);
    },
    LIMIT_MS,
  );

  test(
    "an update that is killed is undone by the next start of the service, where the new version reached no server",
    async () => {
      const about = JSON.parse((await host.run("opspilot version --json")).text);
      const deaf = `#!/bin/sh\ncase "$1 $2" in\n"version --json") echo '${JSON.stringify({ ...about, version: "99.0.0" })}';;\n"agent ") touch /opt/deaf-runs; exec sleep 600;;\nesac\n`;
      writeFileSync(join(host.root, "opt/deaf"), deaf);
      chmodSync(join(host.root, "opt/deaf"), 0o755);
      const former = inode();
      const updating = host.spawn("exec opspilot agent update /opt/deaf");
      const isOnTrial = () => existsSync(join(host.root, "opt/deaf-runs"));
      await until(isOnTrial, { ms: 60_000, what: "the new version runs" });
      expect([inode() === former, JSON.parse(readFileSync(local("opspilot.trial"), "utf8")).to]).toEqual([
        false,
        "99.0.0",
      ]);
      await killAndWait(updating.pid);

      await host.run("systemctl restart opspilot-agent.service");
      await until(() => inode() === former && running() === former, { ms: 60_000, what: "the former version runs" });
      expect(readFileSync(local("opspilot.trial"), "utf8")).toBe("");
      const connection = join(host.root, "var/lib/opspilot-agent/agent/connection.json");
      const isBack = () => JSON.parse(readFileSync(connection, "utf8")).isConnected === true;
      await until(isBack, { ms: 60_000, what: "the former version is connected" });
    },
    LIMIT_MS,
  );

  test(
    "the server asks for an update by a command, which root's unit would see to",
    async () => {
      const isOnline = async () => (await api(`/v1/agents/${agentId}`)).status === "online";
      await until(isOnline, { ms: 60_000, what: "the agent is online again" });
      const { result } = await api("/v1/admin/exec", {
        agent_id: agentId,
        command: "update_agent",
        params: {},
        wait_s: 25,
      });
      expect(result).toMatchObject({ status: "done" });
      const unit = readFileSync(join(host.root, "etc/systemd/system/opspilot-agent-update.path"), "utf8");
      const watched = /^PathChanged=(.+)$/m.exec(unit)?.[1] ?? "missing";
      expect(readFileSync(join(host.root, watched), "utf8")).toMatch(/^\d{4}-/);
    },
    LIMIT_MS,
  );
});
