import { rulesOf, words } from "./rule.ts";

const FIX =
  "See who owns {path|what it was refused} (`ls -lZ`) and which user {source} runs as ({show}). Give that user the access, for instance by `chown` or a group, then {restart}.";
const SELINUX_FIX =
  "Look at the refusals with `ausearch -m avc -ts recent`. Set the label ({path|the path}) by `restorecon -v`, or allow the operation for {source} by a boolean (`setsebool -P`) or a small local policy, then {restart}.";
const PORT_FIX =
  "Let {source} have the port: `AmbientCapabilities=CAP_NET_BIND_SERVICE` in its unit, or a port above 1023 in its configuration. Then {restart}.";

/** Ownership, mode, SELinux or AppArmor, or a privilege that is missing. */
export const PERMISSION_DENIED = rulesOf("permission_denied", FIX, [
  {
    id: "selinux-denied",
    any: words(`avc:  denied | avc: denied | selinux is preventing`),
    not: /permissive=1/i,
    tier: "root",
    cause: "SELinux refused {source} an operation.",
    fix: SELINUX_FIX,
  },
  {
    id: "apparmor-denied",
    any: words(`apparmor="denied"`),
    tier: "root",
    cause: "An AppArmor profile refused {source} access to {path|something that it needs}.",
    fix: "See the profile with `aa-status` and the refusals with `journalctl -k`. Add the rule that {source} needs for {path|the path} to the profile's local file, load it with `apparmor_parser -r`, then {restart}.",
  },
  {
    id: "listen-not-permitted",
    any: words(`listen eacces | permission denied: make_sock | socketpermission`),
    tier: "root",
    cause: "{source} may not listen on {port|its port}: ports below 1024 need a privilege.",
    fix: PORT_FIX,
  },
  {
    id: "bind-not-permitted",
    any: words(`bind() | bind: | bind to | binding to | listen tcp | bind on | could not bind | cannot bind`),
    when: /(?:permission denied|operation not permitted|access permissions|\b13\b: ?permission)/i,
    tier: "root",
    cause: "{source} may not bind {port|its port}: ports below 1024 need a privilege.",
    fix: PORT_FIX,
  },
  {
    id: "exec-not-permitted",
    any: words(`failed at step exec | failed to locate executable | unable to exec | exec: | failed to execute`),
    when: /permission denied/i,
    exitCodes: [126, 203],
    tier: "root",
    cause:
      "{path|The program of {source}} may not be executed by the user of {source}: a mode, a mount option or a label forbids it.",
    fix: "Check mode and label of {path|the program} (`ls -lZ`) and whether its file system is mounted noexec (`findmnt`). Make it executable for the user of {source} with `chmod u+x`, then {restart}.",
  },
  {
    id: "socket-permission",
    any: words(`docker daemon socket | docker.sock | docker api at unix`),
    when: /permission denied/i,
    tier: "root",
    cause: "{source} may not use the Docker socket.",
    fix: "Give the user of {source} access to the Docker socket, for instance by the group docker (`usermod -aG docker`), then {restart}.",
  },
  {
    id: "private-key-open",
    any: words(`
      unprotected private key file | permissions are too open | bad ownership or modes | bad permissions:
      are too open. | has group or world access | insecure permissions | world-writable | insecure ownership
      must be owned by | is group or world readable
    `),
    not: /configuration file .{0,80}marked (?:executable|world-inaccessible)|proceeding anyway/i,
    tier: "cause",
    cause: "{path|A file that {source} uses} is open to more users than the program accepts, so it refuses to use it.",
    fix: "Take the rights of group and others from {path|the file} (`chmod go-rwx`) and make the user of {source} its owner, then {restart}.",
  },
  {
    id: "data-directory-owner",
    any: words(`
      has wrong ownership | has invalid permissions | permissions should be u=rwx | could not change permissions of
      could not change permission of | changing ownership of | unable to change ownership | chown:
    `),
    when: /wrong ownership|invalid permissions|should be u=rwx|change (?:permissions?|ownership)|changing ownership|(?:operation not permitted|permission denied)/i,
    tier: "cause",
    cause: "The owner or mode of {path|a directory} is not what {source} needs, and it may not change it.",
  },
  {
    id: "directory-not-writable",
    any: words(`
      is not writable | not writable by | not writeable | cannot be written | no write permission
      don't have write permission | do not have write permission | isn't writable | unable to write to directory
      do not have permission | don't have permission | does not have permission | no permission to
      insufficient permissions | insufficient privileges | insufficient permission | insufficientpermission
      has insufficient permission
    `),
    tier: "cause",
    cause: "{source} may not write to, or use, {path|something that it needs}.",
  },
  {
    id: "write-not-permitted",
    any: words(`
      accessdeniedexception | permissionerror | unauthorizedaccessexception | errno::eacces
      eacces: permission denied | eacces, | eperm: operation not permitted | errno 13 | (13: permission denied)
      (13)permission denied | errno::eperm | (errcode: 13 | errno: 13 | os error 13 | errno=13
    `),
    not: /s3|status code: 403|aws|avc:/i,
    tier: "cause",
    cause: "{source} was refused access to {path|a file or directory}.",
  },
  {
    id: "capability-missing",
    any: words(`
      cap_net_admin | cap_sys_admin | cap_net_raw | cap_net_bind_service | cap_sys_ptrace | cap_ipc_lock
      cap_sys_nice | cap_setuid
    `),
    when: /denied|not permitted|missing|requires?|needs?|lack|unable|fail/i,
    not: /\binfo\b(?!['"]:)|\bwarn/i,
    tier: "cause",
    cause: "{source} lacks a capability that it needs.",
    fix: "Give {source} the capability that the line names (`AmbientCapabilities=` in its unit, `cap_add` for a container), then {restart}.",
  },
  {
    id: "root-needed",
    any: words(`
      must be run as root | must be root | requires root | root privileges | need to be root | are you root?
      you are not root | you must be root | superuser privileges | requires superuser | needs to be run as root
      only root can | permission denied (you must be root)
    `),
    not: /running (?:as|with).{0,20}root privileges|dropping root privileges|set uid to user/i,
    tier: "cause",
    cause: "{source} does something that only root may do, and does not run as root.",
    fix: "Run {source} as a user with that right, or give it the one capability that it needs ({show} shows how it runs), then {restart}.",
  },
  {
    id: "runs-as-root",
    any: words(`
      can not run elasticsearch as root | can not run opensearch as root | execution of the server is not permitted
      execution of the postgresql | cannot be run as root
      please read "security" section of the manual to find out how to run mysqld as root
      running as root without --no-sandbox
    `),
    tier: "cause",
    cause: "{source} refuses to run as root.",
    fix: "Let {source} run as its own user (`User=` in the unit, `user:` for a container) that owns its data, then {restart}.",
  },
  {
    id: "systemd-credentials-step",
    any: words(`
      failed at step user | failed at step group | failed at step capabilities | failed at step seccomp
      failed to set up credentials | failed to drop capabilities
    `),
    when: /operation not permitted|permission denied|capabilities/i,
    tier: "cause",
    cause: "systemd could not set up {source} with its user or capabilities: it lacks the right to.",
  },
  {
    id: "container-not-permitted",
    any: words(`operation not permitted`),
    tier: "likely",
    cause:
      "{source} attempted an operation that the kernel does not permit it: {path|a capability, a mount option or a security profile is in the way}.",
    fix: "See which operation the line names and what {source} runs as ({show}). Give it the capability or the ownership it needs, then {restart}.",
  },
  {
    id: "permission-denied",
    any: words(`permission denied | keine berechtigung | permiso denegado`),
    not: /\(publickey|permission denied, please try again|mount error|nfs|cifs|(?:0 |no )permission denied/i,
    exitCodes: [126],
    tier: "likely",
    cause: "{source} was refused access to {path|something that it needs}.",
  },
  {
    id: "mount-permission-denied",
    any: words(`
      access denied by server while mounting | mount.nfs: operation not permitted | mount.nfs4: access denied
      mount.nfs: access denied
    `),
    tier: "cause",
    cause: "The file server does not let this host mount {path|the export}.",
    fix: "On the file server allow this host in the export (`exportfs -v` shows it), then {restart} ({source}).",
  },
  {
    id: "mount-error-13",
    any: words(`mount error(13) | mount.nfs: permission denied | mount: permission denied`),
    tier: "symptom",
    cause: "The mount of {path|the share} was refused.",
  },
  {
    id: "git-dubious-ownership",
    any: words(`detected dubious ownership`),
    tier: "cause",
    cause: "Git refuses {path|the repository}: it belongs to another user than the one of {source}.",
  },
]);
