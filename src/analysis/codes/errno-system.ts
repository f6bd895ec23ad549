import { ERRNOS } from "./errno.ts";
import { meaningRules } from "./errno-meaning.ts";

const OWNER_FIX =
  "See who owns {path|what it was refused} (`ls -lZ`) and which user {source} runs as ({show}). Give that user the access, for instance by `chown` or a group, then {restart}.";
const FILE_FIX =
  "Check whether {path|the file} exists for the user of {source} (`ls -l`), inside the container for a container. Restore it, create it, mount it or correct the path in the configuration, then {restart}.";
const SPACE_FIX =
  "See what is full with `df -h` and `df -i`, and what fills it with `du -xsh` there. Free or add space, then {restart} ({source}).";
const FILES_FIX =
  "Count the open files of {source} (`ls /proc/<pid>/fd | wc -l`); look for a leak, or raise its limit with {edit} (LimitNOFILE in a unit, `--ulimit nofile` for a container), then {restart}.";
const TASKS_FIX =
  "Count the processes and threads of {source} (`ps -eLf`); look for a leak, or raise its limit with {edit} (TasksMax or LimitNPROC in a unit, `--pids-limit` for a container), then {restart}.";
const DEVICE_FIX =
  "Save the data first. Look at the device with `smartctl -a` and `journalctl -k`, at cable and controller; replace what reports errors, then bring {source} back.";
const HOLDER_FIX =
  "Find who holds {path|it} with `fuser -v` or `lsof`, and whether another instance of {source} runs (`pgrep -a`). Let that one end properly, then {restart}.";
const LIBRARY =
  /shared (?:object|librar)|\.so\b|\.so\.\d|\bdlopen\b|\.dll\b|\.dylib\b|_load_foreign|load(?:ing)? (?:shared )?librar/i;
const TASK =
  /\b(?:v?fork|clone3?|pthread\w{0,20}|threads?|spawn|process(?:es)?|setuid|exec\w{0,3}|start new|goroutine|uv_thread\w{0,10})\b/i;
const LOCK = /\b(?:lock|locking|flock|lockf|fcntl|locked|lockfile|pid ?file)\b|\.(?:lock|lck|pid)\b/i;
const LOCK_MEMORY =
  /\bmlock|memlock|lock(?:ing|ed)? (?:all )?(?:\w{1,12} )?(?:memory|pages?)|locked memory|\bRLIMIT_MEMLOCK|\bvirtual lock|\bbpf\b|\bBPF\b/i;
const SANDBOXED = /\/(?:home|root|etc|usr|boot|efi|opt|run|tmp|var\/(?:cache|tmp|log|run|spool))(?:\/|\b)/;

/** Error numbers of memory, files, programs, devices and locks. */
export const ERRNO_SYSTEM = meaningRules([
  {
    id: "errno-locked-memory",
    of: ERRNOS.noMemory,
    category: "permission_denied",
    tier: "root",
    with: LOCK_MEMORY,
    beats: ["cannot-allocate", "errno-no-memory", "semaphores-exhausted", "map-count"],
    cause:
      "{source} may not lock memory: its limit of locked memory is too low, or the privilege for it (CAP_IPC_LOCK) is missing. The host has memory.",
    fix: "Give {source} the right to lock memory with {edit} (LimitMEMLOCK or CAP_IPC_LOCK in a unit, `--ulimit memlock` or `--cap-add IPC_LOCK` for a container), or switch its locking off, then {restart}.",
  },
  {
    id: "errno-locked-memory-refused",
    of: ERRNOS.notPermitted,
    category: "permission_denied",
    tier: "root",
    with: LOCK_MEMORY,
    cause:
      "{source} may not lock memory: its limit of locked memory is too low, or the privilege for it (CAP_IPC_LOCK) is missing.",
    fix: "Give {source} the right to lock memory with {edit} (LimitMEMLOCK or CAP_IPC_LOCK in a unit, `--ulimit memlock` or `--cap-add IPC_LOCK` for a container), or switch its locking off, then {restart}.",
  },
  {
    id: "errno-no-memory",
    of: ERRNOS.noMemory,
    category: "out_of_memory",
    tier: "cause",
    not: /mlock|memlock|lock(?:ing|ed)? memory|overcommit_memory|killed? process|shared memory segment|out of memory: kill|native thread|perhaps|\bmay\b|\bmight\b/i,
    cause: "{source} asked the system for memory and got none.",
    fix: "See who uses the memory (`free -m`, {status}). Give {source} more memory or a lower internal limit, find what grew, then {restart}.",
  },
  {
    id: "errno-access",
    of: ERRNOS.access,
    category: "permission_denied",
    tier: "cause",
    not: /publickey|please try again|mount error|mount\.cifs|\bcifs\b|(?:0 |no )permission denied|status code: 403|avc:|permission denied for|permissive=1|invalid token/i,
    cause: "{source} was refused access to {path|something that it needs}.",
    fix: OWNER_FIX,
  },
  {
    id: "errno-not-permitted",
    of: ERRNOS.notPermitted,
    category: "permission_denied",
    tier: "cause",
    cause:
      "{source} attempted an operation that it is not permitted{path|}: a capability, the ownership or a security profile is in the way.",
    fix: "See which operation the line names and what {source} runs as ({show}). Give it the capability or the ownership it needs, then {restart}.",
  },
  {
    id: "errno-library-missing",
    of: ERRNOS.noEntry,
    category: "missing_dependency",
    tier: "root",
    with: LIBRARY,
    cause: "{source} cannot load the shared library {module|that it needs}.",
    fix: "See what is missing with `ldd` on the program, install the package that brings {module|the library}, and {restart} ({source}).",
  },
  {
    id: "errno-no-entry",
    of: ERRNOS.noEntry,
    category: "missing_file",
    tier: "cause",
    not: /shared (?:object|librar)|\.so\b|mysqld?\.sock|\.s\.PGSQL|docker\.sock|docker daemon|connect\(?\)? to|\bdial unix|GET \/|client: |favicon|\bopenat? \/etc\/resolv|modules\.dep|HTTP\/1|ib_buffer_pool|\bstat .{0,120}, ignored/i,
    cause: "{source} needs {path|a file}, and it does not exist.",
    fix: FILE_FIX,
  },
  {
    id: "errno-not-a-directory",
    of: ERRNOS.notDirectory,
    category: "missing_file",
    tier: "likely",
    not: /not a directory: unknown/i,
    cause: "{path|A path} is no directory, and {source} needs one there.",
    fix: FILE_FIX,
  },
  {
    id: "errno-is-a-directory",
    of: ERRNOS.isDirectory,
    category: "config_error",
    tier: "symptom",
    with: /\bEISDIR\b|read|open|write|load/i,
    cause: "{path|A path} is a directory, and {source} needs a file there.",
    fix: "Correct the path in the settings of {source}, or put the file where the directory stands (a mount of a file that does not exist makes a directory). Then {restart}.",
  },
  {
    id: "errno-exec-format",
    beats: ["wrong-architecture"],
    of: ERRNOS.execFormat,
    category: "version_mismatch",
    tier: "root",
    cause:
      "{path|The program} is none that this system can run: it was built for another processor, or it is a script whose first line names no interpreter (`#!`).",
    fix: "See with `file {path|<the program>}` what it is: give a script its first line (such as `#!/bin/sh`), else take the build for this machine (`uname -m`). Then {restart} ({source}).",
  },
  {
    id: "errno-fork-again",
    of: ERRNOS.again,
    category: "resource_limit",
    tier: "root",
    with: TASK,
    not: /\b(?:lock|flock|recv|read|write|epoll|mlock)\b/i,
    cause: "{source} may not start another process or thread: a limit on their number is reached.",
    fix: TASKS_FIX,
  },
  {
    id: "errno-lock-again",
    of: ERRNOS.again,
    category: "lock_conflict",
    tier: "root",
    with: LOCK,
    not: /\b(?:fork|thread|clone)\b|mlock|lock(?:ed|ing)? memory/i,
    cause: "{source} could not take a lock that something else holds: {path|see the line}.",
    fix: HOLDER_FIX,
  },
  {
    id: "errno-busy",
    of: ERRNOS.busy,
    category: "lock_conflict",
    tier: "cause",
    not: /\b(?:bind|listen)\b|\bI\/O error|connection/i,
    cause: "{path|A device or file} that {source} needs is in use by something else.",
    fix: HOLDER_FIX,
  },
  {
    id: "errno-lock-exists",
    of: ERRNOS.exists,
    category: "lock_conflict",
    tier: "cause",
    with: /\b(?:lock|lockfile|pid ?file)\b|\.(?:lock|lck|pid)\b|\block\b/i,
    cause: "{path|The lock file of {source}} exists already: another instance runs, or one ended without cleaning up.",
    fix: HOLDER_FIX,
  },
  {
    id: "errno-text-busy",
    of: ERRNOS.textBusy,
    category: "lock_conflict",
    tier: "cause",
    cause: "{path|A program} is written to while it runs, or run while it is written.",
    fix: HOLDER_FIX,
  },
  {
    id: "errno-watches",
    of: ERRNOS.noSpace,
    category: "resource_limit",
    tier: "root",
    with: /inotify|\bwatch(?:es|er|ers|ing)?\b|epoll/i,
    beats: ["no-space-left", "errno-no-space", "error-28"],
    cause: "The kernel's limit of file watches is used up; the disk is not full.",
    fix: "Raise fs.inotify.max_user_watches and fs.inotify.max_user_instances by a file in /etc/sysctl.d and `sysctl --system`, then {restart} ({source}).",
  },
  {
    id: "errno-kernel-table",
    of: ERRNOS.noSpace,
    category: "resource_limit",
    tier: "root",
    with: /RTNETLINK|netlink|\bnl_|ip route|ip neigh|cgroup|no available (?:network|ip)|address pool/i,
    beats: ["no-space-left", "errno-no-space", "error-28"],
    cause: "A table of the kernel or of the network is full; the disk is not.",
    fix: "See which table the line names (`ip neigh`, `ip route`, `cat /proc/cgroups`) and what fills it for {source}; clear what is left over or raise its limit by a file in /etc/sysctl.d, then {restart}.",
  },
  {
    id: "errno-pids-or-maps",
    of: ERRNOS.noMemory,
    category: "resource_limit",
    tier: "root",
    with: /pids(?:\.max| limit| cgroup)|max_map_count|TasksMax|nproc|process limit|thread limit/i,
    beats: ["cannot-allocate", "errno-no-memory", "memory-exhausted"],
    cause: "{source} reached a limit on its processes or memory maps; the host has memory.",
    fix: TASKS_FIX,
  },
  {
    id: "errno-semaphores",
    of: ERRNOS.noSpace,
    category: "resource_limit",
    tier: "root",
    with: /semget|shmget|semaphore|accept lock|msgget/i,
    beats: ["no-space-left", "errno-no-space", "error-28"],
    cause: "The kernel's limit on semaphores or shared memory is used up; the disk is not full.",
    fix: "See `ipcs -ls` and `ipcs -lm`; raise kernel.sem or kernel.shmmax by a file in /etc/sysctl.d and `sysctl --system`, then {restart} ({source}).",
  },
  {
    id: "errno-no-space",
    of: ERRNOS.noSpace,
    category: "disk_full",
    tier: "root",
    not: /inotify|\bwatch|semget|shmget|semaphore|accept lock|\/dev\/shm|shared memory segment|no free (?:ip|port)/i,
    cause: "No space is left on the file system of {path|what {source} writes}.",
    fix: SPACE_FIX,
  },
  {
    id: "errno-quota",
    of: ERRNOS.quota,
    category: "disk_full",
    tier: "root",
    cause: "The disk quota of the user of {source} is used up.",
    fix: "See the quota with `quota -s` or `repquota -a`. Free space of that user or raise the quota, then {restart} ({source}).",
  },
  {
    id: "errno-files-watched",
    of: ERRNOS.files,
    category: "resource_limit",
    tier: "root",
    with: /inotify|\bwatch/i,
    cause: "The kernel's limit of file watches is used up.",
    fix: "Raise fs.inotify.max_user_watches and fs.inotify.max_user_instances by a file in /etc/sysctl.d and `sysctl --system`, then {restart} ({source}).",
  },
  {
    id: "errno-files",
    of: ERRNOS.files,
    category: "resource_limit",
    tier: "root",
    cause: "{source} has as many files and sockets open as it may.",
    fix: FILES_FIX,
  },
  {
    id: "errno-system-files",
    of: ERRNOS.systemFiles,
    category: "resource_limit",
    tier: "root",
    cause: "The host has as many files open as its kernel allows (fs.file-max).",
    fix: "See `cat /proc/sys/fs/file-nr` and who holds so many (`lsof`); raise fs.file-max by a file in /etc/sysctl.d and `sysctl --system`, then {restart} ({source}).",
  },
  {
    id: "errno-too-long",
    of: ERRNOS.tooLong,
    category: "resource_limit",
    tier: "cause",
    cause: "{source} starts a program with more arguments or environment than the kernel takes.",
    fix: "Let {source} pass a long list by a file or by `xargs`, or give it a smaller environment ({show}), then {restart}.",
  },
  {
    id: "errno-file-too-large",
    of: ERRNOS.fileTooLarge,
    category: "resource_limit",
    tier: "cause",
    cause:
      "{path|A file} of {source} reached the largest size that it may have (a limit of the process or of the file system).",
    fix: "See the limit of {source} ({show}: LimitFSIZE, `ulimit -f`) and let it rotate the file or raise the limit, then {restart}.",
  },
  {
    id: "errno-read-only-sandbox",
    of: ERRNOS.readOnly,
    category: "permission_denied",
    tier: "cause",
    types: ["systemd"],
    beats: ["read-only-file-system", "errno-read-only"],
    not: /\b(?:kernel|sd[a-z]|nvme|remount)/i,
    cause:
      "{source} may not write to {path|a path}: for its unit that place is read-only (ProtectSystem=, ProtectHome= or ReadOnlyPaths=). Nothing speaks of a disk error.",
    fix: "See what the unit of {source} forbids ({show}) and allow the place with `ReadWritePaths={path|<path>}`, `StateDirectory=` or `CacheDirectory=` by {edit}, then {restart}. If it is read-only for others too (`findmnt`), look at the disk.",
  },
  {
    id: "errno-read-only-image",
    of: ERRNOS.readOnly,
    category: "permission_denied",
    tier: "cause",
    types: ["docker"],
    with: SANDBOXED,
    beats: ["read-only-file-system", "errno-read-only"],
    cause:
      "{source} may not write to {path|a path}: the container's own file system, or that mount, is read-only. Nothing speaks of a disk error.",
    fix: "See how {source} is run ({show}: read_only, `:ro` mounts) and give it a volume or a tmpfs where it writes, then create it again.",
  },
  {
    id: "errno-read-only",
    of: ERRNOS.readOnly,
    category: "hardware_io",
    tier: "likely",
    not: /\/sys\/|\/proc\/|container|--read-only|readOnlyRootFilesystem|sysctl|ProtectSystem|oci runtime|\/etc\/resolv|entrypoint/i,
    cause:
      "The file system {path|of {source}} is read-only: after disk errors the kernel makes it so, or it is mounted so.",
    fix: "See why with `journalctl -k` and `findmnt`: after disk errors check the device with `smartctl -a`; if it is mounted so on purpose, give {source} a place that it may write to. Then {restart}.",
  },
  {
    id: "errno-io",
    of: ERRNOS.io,
    category: "hardware_io",
    tier: "cause",
    not: /remote i\/o|\b(?:tty|pty|ptmx|ioctl|console|stdin|terminal)\b|asynchronous i\/o|\bno i\/o error/i,
    cause: "{source} got an input/output error from {path|its disk}: the device or its connection fails.",
    fix: DEVICE_FIX,
  },
  {
    id: "errno-remote-io",
    of: ERRNOS.remoteIo,
    category: "hardware_io",
    tier: "cause",
    cause: "A device that {source} talks to answers with an input/output error.",
    fix: DEVICE_FIX,
  },
  {
    id: "errno-stale",
    of: ERRNOS.stale,
    category: "hardware_io",
    tier: "cause",
    cause: "The file server no longer knows {path|a file} that {source} has open (stale handle).",
    fix: "Mount {path|the share} again (`findmnt -t nfs4,nfs` shows it) and see what changed on the file server, then {restart} ({source}).",
  },
  {
    id: "errno-unclean",
    of: ERRNOS.unclean,
    category: "data_corruption",
    tier: "root",
    cause: "The file system {path|of {source}} is damaged and must be repaired.",
    fix: "Keep the data: unmount the file system and check it with its own tool (`fsck -n`, `xfs_repair -n`), look at the disk with `smartctl -a`, then repair it or restore. Then look at {source} again.",
  },
  {
    id: "errno-bad-message",
    of: ERRNOS.badMessage,
    category: "data_corruption",
    tier: "cause",
    with: /journal|file|read|entry|index|block|database|mount|ext4|xfs|\.db\b/i,
    cause: "What {source} reads from {path|its data} is damaged.",
    fix: "Stop {source} and copy its data before anything else. Check the disk (`smartctl -a`, `journalctl -k`), then restore {path|what is damaged} from the last good copy.",
  },
  {
    id: "errno-no-device",
    of: ERRNOS.noDevice,
    category: "missing_file",
    tier: "likely",
    not: /\b(?:ioctl|SIOC\w{1,12}|reset)\b/i,
    cause: "A device that {source} needs is not there: {path|see the line}.",
    fix: "List the devices (`lsblk -f`, `ip link`, `lsusb`) and compare with the settings of {source}; attach the device or correct its name, then {restart}.",
  },
  {
    id: "errno-no-system-call",
    of: ERRNOS.noSystemCall,
    category: "version_mismatch",
    tier: "likely",
    cause: "{source} needs something of the kernel that this one does not have.",
    fix: "Compare the kernel (`uname -r`) with what {source} asks for: take a newer kernel, or a release of {source} for this one. Then {restart}.",
  },
]);
