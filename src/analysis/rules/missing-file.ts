import { rulesOf, words } from "./rule.ts";

const FIX =
  "Check whether {path|the file} exists for the user of {source} (`ls -l`), inside the container for a container. Restore it, create it, mount it or correct the path in the configuration, then {restart}.";

/** A file, directory or executable is not where it should be. */
export const MISSING_FILE = rulesOf("missing_file", FIX, [
  {
    id: "systemd-exec-missing",
    any: words(`
      failed at step exec | failed to locate executable | failed to execute command | unable to locate executable
      failed at step chdir | changing to the requested working directory failed | failed at step namespace
      failed at step root_directory
    `),
    when: /no such file or directory|not found/i,
    exitCodes: [203, 200, 226],
    tier: "root",
    cause: "systemd cannot start {source}: {path|the program or directory of its unit} does not exist.",
    fix: "See the paths of the unit with `systemctl cat {source}`. Install or restore {path|what is missing}, or correct the path, then {restart}.",
  },
  {
    id: "environment-file-missing",
    any: words(`
      failed to load environment files | failed to run 'start' task | failed at step environment | env file
      couldn't find env file
    `),
    when: /no such file|environment files|not found|couldn't find/i,
    tier: "cause",
    cause: "The environment file {path|of {source}} does not exist.",
  },
  {
    id: "unit-missing",
    any: words(`failed to start | unit`),
    when: /unit (?<unit>[\w@.\\-]{1,100}\.(?:service|socket|mount|target|timer)) (?:not found|could not be found|does not exist)/i,
    tier: "likely",
    cause: "The unit {unit|that is asked for} does not exist on this host.",
    fix: "List units with `systemctl list-unit-files`, install the package that brings {unit|the unit}, or take it from the dependencies of {source}.",
  },
  {
    id: "container-exec-missing",
    any: words(`
      executable file not found | oci runtime | exec: " | stat / | no such file or directory: unknown
      starting container process caused
      exec user process caused | exec: no such file
    `),
    when: /executable file not found|(?:exec|stat) .{0,200}no such file or directory|no such file or directory.{0,10}unknown/i,
    with: /oci |container|\bexec\b|runc|shim|entrypoint|docker/i,
    not: /mount|rootfs|cgroup/i,
    exitCodes: [127],
    tier: "root",
    cause: "The container {source} cannot start its program {path|}: it does not exist in the image.",
    fix: "Compare command and entrypoint (`docker inspect {source}`) with what the image holds; correct the command or build the image with the program. A script with Windows line ends or without its interpreter gives the same message.",
  },
  {
    id: "mount-source-missing",
    any: words(`
      bind source path does not exist | invalid mount config for type "bind" | error mounting
      are you trying to mount a directory onto a file | not a directory: unknown
      error while creating mount source path | mountvolume.setup failed | hostpath type check failed | special device
    `),
    when: /does not exist|no such file|not a directory|not found|hostpath type check/i,
    not: /permission denied|secret "|configmap "|references non-existent secret/i,
    tier: "cause",
    cause: "A mount of {source} has a source that does not exist: {path|see the line}.",
    fix: "Create {path|the source of the mount} on the host with the right kind (file or directory), or correct the mount of {source}, then {restart}.",
  },
  {
    id: "node-enoent",
    any: words(`enoent: no such file or directory | enoent, | error: enoent`),
    not: /\bpackage\.json.{0,20}warn|npm warn/i,
    tier: "cause",
    cause: "{source} looked for {path|a file} and it is not there.",
  },
  {
    id: "language-file-not-found",
    any: words(`
      filenotfounderror | filenotfoundexception | nosuchfileexception | errno::enoent | directorynotfoundexception
      no such file or directory (os error 2) | os error 2 | failed to open stream: no such file | (errcode: 2
      errno: 2 | {error,enoent} | [errno 2] | ,enoent
      errno 2) | error 2)
    `),
    when: /FileNotFound|NoSuchFile|DirectoryNotFound|Errno::ENOENT|failed to open stream|(?:os error|errcode:|errno:|\[errno|errno|error) 2\b|\benoent\b/i,
    not: /mysqld?\.sock|\.s\.PGSQL|connect/i,
    tier: "cause",
    cause: "{source} looked for {path|a file} and it is not there.",
  },
  {
    id: "jar-missing",
    any: words(`unable to access jarfile | could not find or load main class | invalid or corrupt jarfile`),
    when: /unable to access jarfile (?<path>\S{1,200})|could not find or load main class (?<name>\S{1,200})/i,
    tier: "cause",
    cause: "Java cannot find what it should run: {path|{name|the program}}.",
  },
  {
    id: "script-missing",
    any: words(`
      cannot find module '/ | could not open input file | can't open perl script
      no such file or directory -- | cannot load such file -- / | rails: no such file
    `),
    not: /permission|can't open perl script .{0,200}permission|corrupt|node_modules|ib_buffer_pool/i,
    tier: "cause",
    cause: "The file {path|that {source} should run or read} does not exist.",
  },
  {
    // Why it cannot be opened stands behind, as a rule; alone it says little.
    id: "cannot-open",
    any: words(`can't open file | can't open ' | cannot open ' | can't open " | cannot open "`),
    not: /permission|corrupt|ib_buffer_pool|denied|busy|locked|too many|errno: 0\b/i,
    tier: "symptom",
    cause: "{source} cannot open {path|a file}: as a rule it does not exist.",
  },
  {
    id: "certificate-file-missing",
    any: words(`
      cannot load certificate | failed to load certificate | cannot load certificate key | sslcertificatefile
      sslcertificatekeyfile | unable to load certificate | can't open config file | bio_new_file
      could not load server certificate file | could not load private key file | unable to get private key from
      could not load certificate | failed to load x509 | error loading tls certificate | failed to load key pair
    `),
    when: /no such file|does not exist or is empty|system library:fopen|cannot find|not found/i,
    not: /permission denied/i,
    tier: "root",
    cause: "The certificate or key file {path|of {source}} does not exist.",
    fix: "Check {path|the certificate's path} (for Let's Encrypt `certbot certificates`), restore or issue the file or correct the path, then {restart} ({source}).",
  },
  {
    id: "command-not-found",
    any: words(`command not found | : not found`),
    when: /(?:line \d{1,6}|\bsh|bash|env|exec|\d): ?(?:\d{1,5}: ?)?(?<path>[\w./@-]{1,100}): (?:command )?not found|env: .{1,100}no such file/i,
    exitCodes: [127],
    tier: "cause",
    cause: "The program {path|that a script of {source} calls} is not installed or not in its PATH.",
    fix: "Install {path|the program} where {source} runs, or correct the path in its script, then {restart}.",
  },
  {
    id: "interpreter-missing",
    any: words(`bad interpreter | env: | /usr/bin/env`),
    when: /bad interpreter.{0,40}no such file|env: .{1,100}no such file or directory/i,
    exitCodes: [126, 127],
    tier: "cause",
    cause: "The interpreter that the script of {source} names does not exist ({path|see its first line}).",
  },
  {
    id: "data-directory-missing",
    any: words(`
      data directory | is not a database cluster directory | datadir | dbpath | data dir | root directory
      is not initialized | document root | documentroot | could not access directory | not a valid data directory
      mysql system tables | table 'mysql. | chroot directory | working directory
    `),
    when: /does not exist|not found|no such file|not a (?:database cluster|directory)|doesn't exist|must be a directory|not a valid data directory|could not access directory|nonexistentpath/i,
    not: /permission/i,
    tier: "cause",
    cause: "The directory {path|that {source} works in} does not exist or is not set up.",
  },
  {
    id: "mongo-dbpath",
    any: words(`nonexistentpath | data directory /data/db not found`),
    tier: "cause",
    cause: "MongoDB's data directory {path|} does not exist.",
  },
  {
    id: "config-file-missing",
    any: words(`
      config file | configuration file | config path | can't open config | could not open config
      unable to open config | kubeconfig | invalid configuration: no configuration | failed to load kubelet config
      error loading config file | couldn't load configuration | /etc/
    `),
    when: /no such file or directory|does not exist|not found|could not be found|cannot find|doesn't exist/i,
    not: /host not found|module|user .{0,40}not found|symbol|No such file or directory, using defaults|using default|skip/i,
    tier: "cause",
    cause: "The configuration file {path|of {source}} does not exist.",
  },
  {
    id: "device-missing",
    any: words(`
      no such device | dev-disk-by | unable to find root device | can't find uuid | can't find label | no medium found
      can't find in /etc/fstab | error gathering device information
    `),
    when: /no such device|dev-disk-by.{0,160}(?:timed out|not found)|root device|can't find|no medium|no such file/i,
    not: /ioctl|SIOC|reset/i,
    tier: "likely",
    cause: "A device that {source} needs is not there: {path|see the line}.",
    fix: "List devices with `lsblk -f` and compare with /etc/fstab or the settings of {source}; attach the device or correct the entry (`nofail` lets the boot go on), then {restart}.",
  },
  {
    id: "mount-point-missing",
    any: words(`mount point | mountpoint`),
    when: /does not exist|no such file/i,
    tier: "cause",
    cause: "The mount point {path|} does not exist.",
  },
  {
    id: "no-such-file",
    any: words(`
      no such file or directory | no such file | cannot find the file | system cannot find the path
      datei oder verzeichnis nicht gefunden | aucun fichier ou dossier | file not found | file does not exist
      does not exist or is not a | not a directory | path does not exist | directory does not exist
      directory not found | file doesn't exist | could not find file | could not be found | is not a directory
      doesn't exist | no such directory | directory nonexistent
    `),
    when: /no such (?:file|directory)|cannot find (?:the )?(?:file|path)|nicht gefunden|aucun fichier|\b(?:file|path|directory)\b.{0,160}(?:not found|does not exist|doesn't exist|could not be found|nonexistent)|not a directory|could not find file/i,
    not: /shared (?:object|librar)|mysqld?\.sock|\.s\.PGSQL|docker\.sock|docker daemon|connect to|connect\(\)|connection|unix:\/|\.so\b|ib_buffer_pool|GET \/|client: |favicon|resolv|skipping|ignoring|stat .{0,120}, ignored|modules\.dep|\.\.\. no such file|HTTP\/1|table|relation|column/i,
    exitCodes: [127],
    tier: "symptom",
    cause: "{source} needs {path|a file}, and it does not exist.",
  },
  {
    id: "status-203",
    any: words(`status=203/exec | status=200/chdir | status=209/stdout | status=226/namespace`),
    exitCodes: [203, 200],
    tier: "symptom",
    cause:
      "systemd could not run the program of {source}, or enter its directory: as a rule a path in the unit does not exist.",
    fix: "See the paths with `systemctl cat {source}` and whether they exist and may be executed, correct the unit, then {restart}.",
  },
]);
