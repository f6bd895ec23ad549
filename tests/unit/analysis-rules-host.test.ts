import { describe, expect, test } from "bun:test";
import type { Category } from "../../src/analysis/model.ts";
import { categoryOfLine, type RuleLines } from "../support/rule-lines.ts";

const LINES: Partial<Record<Category, RuleLines>> = {
  port_conflict: {
    must: [
      "Error: listen EADDRINUSE: address already in use 127.0.0.1:5000",
      "OSError: [Errno 98] Address already in use",
      "error: Bind for 0.0.0.0:5432 failed: port is already allocated",
      "java.net.BindException: Address already in use (Bind failed)",
      "Failed to listen on 0.0.0.0:9000 (reason: Address already in use)",
      'caused by: Os { code: 98, kind: AddrInUse, message: "Address already in use" }',
      "Error: Another program is already listening on a port that one of our HTTP servers is configured to use.",
      "ERROR: Can't start server: Bind on TCP/IP port. Got error: 98: Address already in use",
      "System.IO.IOException: Failed to bind to address http://[::]:5000: address already in use.",
    ],
    mustNot: [
      "INFO listening on port 8080",
      "no route to port group dvport-12",
      "import of port mapping finished",
      "Error: listen EACCES: permission denied 0.0.0.0:443",
      "the support portal is in use by 4 people",
    ],
  },
  permission_denied: {
    must: [
      "mkdir: cannot create directory '/var/lib/app': Permission denied",
      "PermissionError: [Errno 13] Permission denied: '/srv/data/x'",
      "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)",
      'audit: type=1400 audit(1.2:3): apparmor="DENIED" operation="open" profile="/usr/sbin/mysqld" name="/data/x"',
      "java.nio.file.AccessDeniedException: /usr/share/elasticsearch/data/nodes",
      "ERROR:  permission denied for table orders",
      "iptables: Permission denied (you must be root)",
      "chown: changing ownership of '/data': Operation not permitted",
      "Error: EACCES: permission denied, open '/data/db.sqlite'",
      "deploy is not in the sudoers file.  This incident will be reported.",
    ],
    mustNot: [
      "INFO permission check passed",
      "git@github.com: Permission denied (publickey).",
      "pull access denied for acme/x, repository does not exist or may require 'docker login'",
      'audit: avc:  denied  { read } for comm="x" permissive=1',
    ],
  },
  out_of_memory: {
    must: [
      "Out of memory: Killed process 812 (java) total-vm:8123456kB, anon-rss:4012345kB",
      "Memory cgroup out of memory: Killed process 99 (python3), UID 1000, total-vm:99kB",
      "java.lang.OutOfMemoryError: GC overhead limit exceeded",
      "FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory",
      "terminate called after throwing an instance of 'std::bad_alloc'",
      "bash: fork: Cannot allocate memory",
      "fatal error: runtime: out of memory",
      "MemoryError: Unable to allocate 7.45 GiB for an array with shape (1000000000,)",
      "postgres: ERROR:  out of memory",
      "OOM command not allowed when used memory > 'maxmemory'.",
    ],
    mustNot: [
      "container exited with code 137",
      "# WARNING overcommit_memory is set to 0! Background save may fail under low memory condition.",
      "INFO memory: 512MB used of 2GB",
      '"OOMKilled": false',
      "java.lang.OutOfMemoryError: unable to create new native thread",
    ],
  },
  disk_full: {
    must: [
      "write /var/lib/x: no space left on device",
      "OSError: [Errno 28] No space left on device",
      "tar: x: Cannot write: No space left on device",
      "mysqld: Error writing file './binlog.~rec~' (OS errno 28 - No space left on device)",
      'rsync: write failed on "/b/x": Disk quota exceeded (122)',
      "sqlite3.OperationalError: database or disk is full",
      "etcdserver: mvcc: database space exceeded",
      "E: You don't have enough free space in /var/cache/apt/archives/.",
      "The node was low on resource: ephemeral-storage.",
    ],
    mustNot: [
      "Error: ENOSPC: System limit for number of file watchers reached",
      "INFO disk check passed: 40 % free space",
      "Status: NodeHasNoDiskPressure, kubelet has no disk pressure",
      "rate quota exceeded for API requests",
    ],
  },
  hardware_io: {
    must: [
      "blk_update_request: critical medium error, dev sdb, sector 12345",
      "Buffer I/O error on dev dm-0, logical block 12, lost async page write",
      "ata3.00: failed command: WRITE FPDMA QUEUED",
      "EXT4-fs (dm-1): Remounting filesystem read-only",
      "md/raid1:md0: Disk failure on sdb1, disabling device.",
      "mce: [Hardware Error]: Machine check events logged",
      "dd: error reading '/dev/sda': Input/output error",
      "nvme nvme0: Device not ready; aborting reset",
      'XFS (sda1): metadata I/O error in "xfs_read_agi" at daddr 0x2 len 1 error 5',
    ],
    mustNot: [
      "systemd-resolved: Using degraded feature set UDP instead of UDP+EDNS0",
      "SMART overall-health self-assessment test result: PASSED",
      "TTY: ioctl failed: Input/output error",
      "INFO degraded performance of the cluster is over",
    ],
  },
  resource_limit: {
    must: [
      "accept: Too many open files",
      "nf_conntrack: nf_conntrack: table full, dropping packet",
      "bash: fork: retry: Resource temporarily unavailable",
      "FATAL:  sorry, too many clients already",
      "Failed to add /run/systemd/x to inotify: No space left on device",
      "redis: ERR max number of clients reached",
      "AH00484: server reached MaxRequestWorkers setting, consider raising the MaxRequestWorkers setting",
      "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00",
      "GitHub API error: 403 API rate limit exceeded for user ID 1.",
      "sshd[1]: error: beginning MaxStartups throttling",
    ],
    mustNot: [
      "[Note] changed limits: max_open_files: 1024 max_connections: 151",
      "INFO rate limiter configured: 100/s",
      "systemd-journald[1]: Suppressed 99 messages",
      "fork: Cannot allocate memory",
    ],
  },
};

describe.each(Object.entries(LINES))("%s", (category, { must, mustNot }) => {
  test.each(must.map((line) => [line]))("is what %s shows", (line) => {
    expect(categoryOfLine(line)).toBe(category as Category);
  });
  test.each(mustNot.map((line) => [line]))("is not what %s shows", (line) => {
    expect(categoryOfLine(line)).not.toBe(category as Category);
  });
});
