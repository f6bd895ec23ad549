import { existsSync, readFileSync, rmSync } from "node:fs";
import { chmod, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { isAlive } from "./e2e.ts";
import { until } from "./until.ts";

/** What a command in the host has left behind. */
export interface HostRun {
  readonly status: number;
  readonly text: string;
}

/**
 * A host of its own under a folder, with this system's programs, in which everything is installed for real: a root that is mounted in a
 * namespace. Its systemctl is one of ours, which runs the agent's unit as systemd would.
 */
export interface UnitHost {
  readonly root: string;
  run(script: string): Promise<HostRun>;
  /** Starts it, to be killed. */
  spawn(script: string): Bun.Subprocess<"ignore", "pipe", "pipe">;
  /** The process of the agent's unit. */
  agentPid(): number;
  stop(): Promise<void>;
}

/** Whether such hosts can be made here: by root, or by whoever may have namespaces. */
export function canMakeHosts(): boolean {
  return Bun.spawnSync(["unshare", "--mount", "true"], { stderr: "ignore" }).success;
}

const UNIT = "/etc/systemd/system/opspilot-agent.service";

const SYSTEMCTL = `#!/bin/sh
for unit; do :; done
case "$1 $unit" in
  "enable opspilot-agent.service") [ -e /run/unit.pid ] || setsid /usr/local/sbin/run-unit </dev/null >>/run/unit.log 2>&1 & ;;
  "restart opspilot-agent.service") kill "$(cat /run/agent.pid)" 2>/dev/null || : ;;
esac
`;

const USERADD = `#!/bin/sh
for name; do :; done
echo "$name:x:997:997::/:/bin/false" >> /etc/passwd
echo "$name:x:997:" >> /etc/group
`;

/** ExecStartPre, ExecStart, Restart=always. */
const RUN_UNIT = `#!/bin/sh
echo $$ > /run/unit.pid
mkdir -p /var/lib/opspilot-agent
while [ -e /run/unit.pid ]; do
  pre=$(sed -n "s|^ExecStartPre=-+/bin/sh -c '\\(.*\\)'$|\\1|p" ${UNIT})
  sh -c "$pre"
  (set -a; . /etc/opspilot/agent.env; OPSPILOT_DATA_DIR=/var/lib/opspilot-agent; exec /usr/local/bin/opspilot agent) &
  echo $! > /run/agent.pid
  wait $!
  sleep 0.2
done
`;

/** Makes one. */
export async function makeUnitHost(folder: string): Promise<UnitHost> {
  const root = join(folder, "root");
  const local = join(folder, "local");
  for (const path of ["usr", "etc", "proc", "dev", "tmp", "var/lib", "run/systemd/system", "opt"])
    await mkdir(join(root, path), { recursive: true });
  for (const path of ["bin", "lib", "lib64", "sbin"])
    if (existsSync(`/usr/${path}`)) await symlink(`usr/${path}`, join(root, path));
  await Bun.write(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  await Bun.write(join(root, "etc/group"), "root:x:0:\nsystemd-journal:x:999:\n");
  const programs = { systemctl: SYSTEMCTL, "run-unit": RUN_UNIT, useradd: USERADD, userdel: "#!/bin/sh\n" };
  for (const [name, text] of Object.entries(programs)) {
    await Bun.write(join(local, "sbin", name), text);
    await chmod(join(local, "sbin", name), 0o755);
  }
  await mkdir(join(local, "bin"), { recursive: true });

  const mounts = [
    `mount --bind /usr '${root}/usr'`,
    `mount --bind '${local}' '${root}/usr/local'`,
    `mount --rbind /proc '${root}/proc'`,
    `mount --rbind /dev '${root}/dev'`,
  ].join(" && ");
  const pidIn = (name: string) => {
    const path = join(root, "run", name);
    return existsSync(path) ? Number(readFileSync(path, "utf8")) : 0;
  };
  const spawn = (script: string) =>
    Bun.spawn(["unshare", "--mount", "sh", "-c", `${mounts} && exec chroot '${root}' sh -c "$1"`, "sh", script], {
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      cwd: "/",
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });

  return {
    root,
    spawn,
    async run(script) {
      const child = spawn(script);
      const [output, errors, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
      return { status, text: output + errors };
    },
    agentPid: () => pidIn("agent.pid"),
    async stop() {
      const pid = pidIn("unit.pid");
      rmSync(join(root, "run/unit.pid"), { force: true });
      const isOver = () => {
        const agent = pidIn("agent.pid");
        if (agent > 0 && isAlive(agent)) process.kill(agent, "SIGTERM");
        return pid === 0 || !isAlive(pid);
      };
      await until(isOver, { ms: 20_000, what: "the unit has ended" });
    },
  };
}
