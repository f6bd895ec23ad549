import { rulesOf, words } from "./rule.ts";

const FIX =
  "See what is full with `df -h` and `df -i`, and what fills it with `du -xsh` there. Free or add space (old logs: `journalctl --vacuum-size=500M`; unused images: `docker system df`), then {restart} ({source}).";

/** No space or inodes left, a quota, a watermark of the disk. */
export const DISK_FULL = rulesOf("disk_full", FIX, [
  {
    id: "no-space-left",
    any: words(`
      no space left on device | enospc | kein speicherplatz mehr | not enough space on the disk | no space left
      there is not enough space on
    `),
    not: /file watchers|inotify|watch(?:es)? limit|system limit for number of|max_user_watches|no free (?:ip|port)|\/dev\/shm|shared memory segment|semget|shmget/i,
    tier: "root",
    cause: "No space is left on the file system of {path|what {source} writes}.",
  },
  {
    id: "shared-memory-full",
    any: words(`could not resize shared memory segment | could not extend shared memory | /dev/shm`),
    when: /no space left/i,
    tier: "cause",
    cause: "The shared memory file system (/dev/shm) of {source} is full.",
    fix: "Give {source} more shared memory (for a container `--shm-size`), then {restart}.",
  },
  {
    id: "error-28",
    any: words(`
      errcode: 28 | error 28 | errno 28 | errno: 28 | (28) | os error 28 | errno=28 | error: 28 | error number 28
    `),
    when: /errcode: 28|with error 28|errno[ :=]{1,2}28|os error 28|(?:got) error 28\b|error 28 from|error number 28|\(28\).{0,4}no space/i,
    tier: "root",
    cause: "A write of {source} to {path|its files} failed with error 28: no space left.",
  },
  {
    id: "disk-is-full",
    any: words(`
      disk is full | disk full | filesystem full | file system full | file system is full | volume is full
      filesystem is full | the table | diskfull | out of disk space | out of disk | out of space
      insufficient disk space | not enough disk space | not enough free space | insufficient free space
      not enough space | insufficient system storage | insufficient storage | no usable temporary directory
      low on disk space | free space is low | lack of disk space | too little disk space | disk space is low
      disk space low | insufficient space | no free space
      don't have enough free space | filegroup is full | transaction log for database | ora-01653 | ora-00257 | ora-19809 | unable to extend
    `),
    when: /disk (?:is )?full|(?:filesystem|file system|volume|device) (?:is )?full|the table '?.{1,120}? is full|diskfull|out of (?:disk )?space|out of disk|(?:insufficient|not enough|low on|lack of|too little|no) (?:free )?(?:disk )?space|insufficient (?:system )?storage|no usable temporary directory|free space is low|disk space (?:is )?low|don't have enough free space|filegroup is full|log for database .{1,80} is full|ORA-(?:01653|00257|19809)|unable to extend table/i,
    not: /memory|address space|heap|swap space|code cache/i,
    tier: "cause",
    cause: "The disk that {source} writes to is full.",
  },
  {
    id: "quota-exceeded",
    any: words(`
      disk quota exceeded | edquot | quota exceeded | over quota | overquota | user is over quota | storage quota
      mailbox is full | exceeded its quota | file too large | quota limit exceeded
    `),
    when: /disk quota exceeded|edquot|(?:storage|disk|mailbox|mail|user|file|block|inode)\b.{0,60}(?:quota exceeded|is full|quota)|\(errcode: 122|errno 122|over quota/i,
    not: /rate|api|request|exceeded quota: compute|cpu|pods/i,
    tier: "root",
    cause: "The disk quota of the user of {source} is used up.",
    fix: "See the quota with `quota -s` or `repquota -a`. Free space of that user or raise the quota, then {restart} ({source}).",
  },
  {
    id: "inodes-exhausted",
    any: words(`inode`),
    when: /(?:no|out of|run out of|0) (?:free )?inodes?\b(?: left)?|inodes? (?:usage|used).{0,30}(?:100 ?%|exhausted|above)|inodes exhausted/i,
    tier: "cause",
    cause: "The file system {path|of {source}} has no inodes left: too many small files.",
  },
  {
    id: "elasticsearch-watermark",
    any: words(`
      flood stage disk watermark | high disk watermark | low disk watermark | flood_stage | flood-stage watermark
      read-only / allow delete | read_only_allow_delete | read-only-allow-delete | disk_watermark
      disk usage exceeded
    `),
    not: /no longer|removing|below/i,
    tier: "root",
    cause: "Elasticsearch's data disk is above its watermark, so indices stop taking shards or writes.",
    fix: "See `GET _cat/allocation?v`. Free space by removing old indices through their life-cycle policy or add disk; {source} takes writes again when the usage is below the watermark.",
  },
  {
    id: "rabbitmq-disk-alarm",
    any: words(`
      disk resource limit alarm set | free disk space is insufficient | disk free limit | disk_resource_limit
      disk alarm | free bytes:
    `),
    when: /alarm set|insufficient\. free bytes|disk alarm/i,
    tier: "cause",
    cause: "RabbitMQ has less free disk than its limit and blocks publishers.",
  },
  {
    id: "kubernetes-disk-pressure",
    any: words(`
      diskpressure | disk-pressure | low on resource: ephemeral-storage | imagegcfailed | freediskspacefailed
      ephemeral local storage usage exceeds | freed 0 bytes | evictionthresholdmet
      failed to garbage collect required amount of images
    `),
    when: /disk.?pressure|ephemeral|(?:imagegc|freediskspace)failed|free|garbage collect/i,
    not: /has no disk pressure|sufficient disk|NodeHasNoDiskPressure/i,
    tier: "cause",
    cause: "The node ran low on disk space, so Kubernetes evicts pods and takes no new ones.",
    fix: "See `kubectl describe node` and `df -h` on the node, free or add space there; {source} is scheduled again when the pressure is gone.",
  },
  {
    id: "etcd-quota",
    any: words(`mvcc: database space exceeded | alarm:nospace | etcdserver: no space | database space exceeded`),
    tier: "root",
    cause: "The database of etcd has reached its space quota and takes no more writes.",
    fix: "Compact and defragment etcd (`etcdctl compact`, `etcdctl defrag`), raise its quota if need be, then clear the alarm with `etcdctl alarm disarm`. Then look at {source} again.",
  },
  {
    id: "postgres-extend",
    any: words(`could not extend file | could not write to file | could not write block`),
    when: /no space|check free disk space|wrote only/i,
    tier: "root",
    cause: "PostgreSQL could not extend {path|a file}: the disk is full.",
  },
  {
    id: "postfix-queue-space",
    any: words(`insufficient system storage | not enough free space in mail queue | 4.3.1`),
    when: /insufficient system storage|not enough free space/i,
    tier: "cause",
    cause: "Postfix takes no mail: the disk of its queue has too little space.",
  },
  {
    id: "docker-thin-pool",
    any: words(`
      free data blocks which is less than minimum required | thin pool has | out-of-data-space
      reached low water mark for data device
    `),
    tier: "cause",
    cause: "The storage pool of Docker or LVM is full.",
  },
  {
    id: "kafka-log-dir-full",
    any: words(`all log dirs in | halting broker`),
    when: /no space/i,
    tier: "root",
    cause: "Kafka's log directory {path|} is full.",
  },
  {
    id: "disk-threshold",
    where: "message",
    any: words(`
      disk usage | disk space | filesystem | file system | free space | inode | disk / | disk at | partition | volume
    `),
    when: /\d{1,3}(?:\.\d)? ?%|(?:below|above) threshold|less than|only \d|\d ?[kmgt]i?b (?:free|left)/i,
    not: /i\/o|latency|read-only/i,
    tier: "symptom",
    cause: "The disk of {source} is nearly full.",
  },
]);
