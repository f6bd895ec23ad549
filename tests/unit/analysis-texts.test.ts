import { describe, expect, test } from "bun:test";
import { createHeuristics } from "../../src/analysis/heuristics.ts";
import type { Category, Evidence } from "../../src/analysis/model.ts";

const explain = createHeuristics();

const unit = (source: string, logs: string, more: Partial<Evidence> = {}): Evidence => ({
  type: "systemd",
  source,
  message: `${source} failed: Main process exited, code=exited, status=1/FAILURE; result 'exit-code'`,
  logs,
  exitCode: 1,
  ...more,
});

const host = (source: string, message: string): Evidence => ({
  type: "host",
  source,
  message,
  logs: "",
  exitCode: null,
});

describe("a host's own alert says it all", () => {
  test.each<[string, string, Category, string]>([
    [
      "/var",
      "/var is 96 % full: 1.20 GiB of 30.00 GiB left",
      "disk_full",
      "/var is 96 % full: 1.20 GiB of 30.00 GiB left",
    ],
    ["/srv (inodes)", "/srv has 99 % of its inodes in use: 120 of 65536 left", "disk_full", "99 % of its inodes"],
    ["memory", "memory is 97 % in use: 0.30 GiB of 7.80 GiB available", "out_of_memory", "97 % in use"],
    ["swap", "swap is 91 % in use: 1.80 GiB of 2.00 GiB", "out_of_memory", "91 % in use"],
    [
      "load",
      "the load is 6.2 per processor: 12.40 over 5 minutes with 2 processors",
      "resource_limit",
      "6.2 per processor",
    ],
    ["cpu", "the processors are 98 % busy", "resource_limit", "98 % busy"],
  ])("%s", (source, message, category, said) => {
    const answer = explain(host(source, message));
    expect(answer.category).toBe(category);
    expect(answer.cause).toContain(said);
    expect(answer.cause).not.toContain("does not say why");
    expect(answer.decisive).toBe(message);
  });

  test("also that it is only a test", () => {
    const answer = explain(host("test", "Test alert from web-01: this host's agent can reach the server"));
    expect(answer).toMatchObject({ category: "unknown", confidence: 0, decisive: null });
    expect(answer.cause).toContain("test alert of web-01");
  });

  test("and names the OOM killer's victim", () => {
    const line = "Memory cgroup out of memory: Killed process 386 (tail) total-vm:43608kB, anon-rss:40632kB";
    const message = `the kernel killed tail (process 386) of o-main.service for lack of memory: ${line}`;
    const { category, cause, fix } = explain({ ...host("oom-killer", message), logs: line });
    expect(category).toBe("out_of_memory");
    expect(cause).toContain("o-main.service reached the memory limit");
    expect(cause).toContain("tail");
    expect(`${cause} ${fix}`).not.toContain("oom-killer");
    expect(fix).toContain("systemctl restart o-main.service");
  });
});

describe("systemd's own words", () => {
  const exited = (source: string, status: string, lines: string[] = [], exitCode = Number.parseInt(status, 10)) =>
    explain(
      unit(source, [...lines, `systemd[1]: ${source}: Main process exited, code=exited, status=${status}`].join("\n"), {
        message: `${source} failed: Main process exited, code=exited, status=${status}; result 'exit-code'`,
        exitCode,
      }),
    );

  test.each(["2/INVALIDARGUMENT", "4/NOPERMISSION", "5/NOTINSTALLED", "6/NOTCONFIGURED", "77/NOPERM"])(
    "for a program's number are no evidence: %s",
    (status) => {
      expect(exited("quiet.service", status).category).toBe("unknown");
    },
  );

  test("for the number of a wrong configuration are", () => {
    expect(exited("quiet.service", "78/CONFIG").category).toBe("config_error");
  });

  test.each<[string, string, Category, string]>([
    [
      "200/CHDIR",
      "systemd[1]: w.service: Changing to the requested working directory failed: No such file or directory",
      "missing_file",
      "WorkingDirectory=",
    ],
    [
      "217/USER",
      "systemd[9]: w.service: Failed to determine user credentials: No such process",
      "config_error",
      "User=",
    ],
    [
      "216/GROUP",
      "systemd[9]: w.service: Failed to determine group credentials: No such process",
      "config_error",
      "Group=",
    ],
    ["217/USER", "", "config_error", "does not exist"],
  ])("for what it could not do say what is missing: %s", (status, line, category, said) => {
    const answer = exited("w.service", status, line === "" ? [] : [line]);
    expect(answer.category).toBe(category);
    expect(answer.cause).toContain(said);
    expect(answer.cause).not.toStartWith("w.service does not exist");
  });

  test("name the environment file that is missing as such", () => {
    const logs =
      "systemd[1]: e.service: Failed to load environment files: No such file or directory\nsystemd[1]: e.service: Failed to run 'start' task: No such file or directory";
    const answer = explain(
      unit("e.service", logs, { message: "e.service failed: result 'resources'", exitCode: null }),
    );
    expect(answer.category).toBe("missing_file");
    expect(answer.cause).toContain("EnvironmentFile=");
  });

  test("tell the watchdog's kill as one, not as an assertion", () => {
    const logs =
      "systemd[1]: d.service: Watchdog timeout (limit 3s)!\nsystemd[1]: d.service: Killing process 7 (d) with signal SIGABRT.\nsystemd[1]: d.service: Main process exited, code=dumped, status=6/ABRT\nsystemd[1]: d.service: Failed with result 'watchdog'.";
    const answer = explain(unit("d.service", logs, { message: "d.service failed: result 'watchdog'", exitCode: 134 }));
    expect(answer.category).toBe("timeout");
    expect(answer.cause).toContain("WatchdogSec=");
  });

  test("for a text file without its first line speak of that line", () => {
    const logs = "(run.sh)[9]: w.service: Failed to execute /opt/w/run.sh: Exec format error";
    expect(explain(unit("w.service", logs)).cause).toContain("`#!`");
  });

  test("in a unit's description are no evidence", () => {
    const logs =
      "systemd[1]: Starting Retry of timed out and refused connections...\nsystemd[1]: q.service: Failed with result 'exit-code'.";
    expect(explain(unit("q.service", logs)).category).toBe("unknown");
  });
});

describe("a text speaks only of what the evidence shows", () => {
  const words = (logs: string, source = "thing.service") => {
    const { category, cause, fix } = explain(unit(source, logs));
    return { category, text: `${cause} ${fix}` };
  };

  test("a graphics card's memory is no Java heap", () => {
    const { category, text } = words("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 4.00 GiB.");
    expect(category).toBe("out_of_memory");
    expect(text).not.toMatch(/Java|-Xmx|heap/);
    expect(text).toContain("graphics card");
  });

  test("a damaged block of a backup is no MySQL table", () => {
    const { category, text } = words("store-d[8]: Error: Block checksum mismatch in block=12: calc=1 blk=2");
    expect(category).toBe("data_corruption");
    expect(text).not.toMatch(/MySQL|PostgreSQL|MariaDB/);
  });

  test("words that one program is known by are another's too, and its name is said only of itself", () => {
    const line = "Error: header page consists of zero bytes in volume 7";
    expect(words(`vault-d[9]: ${line}`).text).not.toMatch(/MySQL|MariaDB/);
    expect(words(`mysqld[9]: ${line}`, "mysql.service").text).toMatch(/MySQL|MariaDB/);
  });

  test("the path is the one that is missing, not the one that names it", () => {
    const line =
      "balancer[9]: Error in file /etc/bal/main.conf line 4: cannot include /etc/bal/extra.conf: No such file or directory";
    const { category, text } = words(line);
    expect(category).toBe("missing_file");
    expect(text).toContain("/etc/bal/extra.conf");
    expect(text).not.toContain("main.conf");
  });

  test("a UDP port is looked for as one", () => {
    const { text } = words('trapd[9]: could not open udp:162: errno 98 ("Address already in use")');
    expect(text).toContain("UDP port 162");
    expect(text).toContain("`ss -lunp`");
    expect(text).not.toContain("-ltnp");
  });

  test("a sentence without its fact is whole", () => {
    const { text } = words("addon[9]: bind: Address already in use");
    expect(text).toContain("its port is already taken");
    expect(text).not.toContain("port of thing.service");
  });

  test("a source file and its line are no port", () => {
    expect(words("x[9]: net_util.c:379 connect: Connection refused").text).not.toContain("379");
  });
});

describe("a line is read", () => {
  test("to its end, however long", () => {
    const line = `app[9]: request {${"a=1, ".repeat(2_000)}} failed: open /srv/state: Permission denied`;
    expect(line.length).toBeGreaterThan(8_000);
    const answer = explain(unit("app.service", `${line}\nbye`));
    expect(answer.category).toBe("permission_denied");
    expect(line).toEndWith(answer.decisive ?? "?");
  });

  test.each<[string, Category]>([
    ["curl: (7) Échec de connexion au port 80 : Connexion refusée", "connection_refused"],
    ["Verbindung zu 10.0.0.1: Verbindungsaufbau abgelehnt", "connection_refused"],
    ["connect: 接続を拒否されました", "connection_refused"],
    ["abrir /srv/a: Permiso denegado", "permission_denied"],
    ["abrir /srv/a: Permissão negada", "permission_denied"],
    ["/srv/a: Permission non accordée", "permission_denied"],
    ["/srv/a: 許可がありません", "permission_denied"],
    ["/srv/a: No existe el fichero o el directorio", "missing_file"],
    ["/srv/a: そのようなファイルやディレクトリはありません", "missing_file"],
    ["/srv/a: Arquivo ou diretório inexistente", "missing_file"],
    ["schreiben: Auf dem Gerät ist kein Speicherplatz mehr verfügbar", "disk_full"],
    ["write: デバイスに空き領域がありません", "disk_full"],
    ["bind: Adresse déjà utilisée", "port_conflict"],
    ["bind: La dirección ya se está usando", "port_conflict"],
    ["bind: Endereço já em uso", "port_conflict"],
    ["Nom ou service inconnu", "dns_failure"],
    ["名前またはサービスが不明です", "dns_failure"],
    ["fork: メモリを確保できません", "out_of_memory"],
    ["Trop de fichiers ouverts", "resource_limit"],
    ["app: Befehl nicht gefunden", "missing_file"],
    ["Speicherzugriffsfehler (Speicherabzug geschrieben)", "crash"],
  ])("in its language: %s", (line, category) => {
    expect(explain(unit("app.service", `app[9]: ${line}`)).category).toBe(category);
  });

  test.each<[string, string[], Category]>([
    ["an operation with its number: locked memory", ["mlock: Cannot allocate memory"], "permission_denied"],
    ["an operation with its number: a sandbox", ["mkdir /var/lib/x: read-only file system"], "permission_denied"],
    ["an operation with its number: file watches", ["add watch: No space left on device (inotify)"], "resource_limit"],
    [
      "the innermost message of a chain",
      ["RuntimeError: start failed", "Caused by: java.net.UnknownHostException: db7"],
      "dns_failure",
    ],
    ["the innermost message of a line", ["start: load plugins: open /p: permission denied"], "permission_denied"],
    [
      "what is missing and done without as no cause",
      ["TOKEN is not set, tracing is off", "open /srv/a: permission denied"],
      "permission_denied",
    ],
    [
      "what came back as no cause",
      [
        "dial tcp 10.0.0.1:80: connection refused, retry in 2s",
        "connection established",
        "panic: index out of range [3]",
      ],
      "crash",
    ],
  ])("%s", (_, lines, category) => {
    const logs = lines.map((line) => `app[9]: ${line}`).join("\n");
    expect(explain(unit("app.service", logs)).category).toBe(category);
  });
});
