import { rulesOf, words } from "./rule.ts";

const FIX =
  "See who uses the memory ({status}, `free -m`, `journalctl -k`). Give {source} more memory or a lower internal limit, find what grew, then {restart}.";
const LIMIT_FIX =
  "Raise the memory limit of {source}, or make it need less (smaller caches, fewer workers); {logs} shows what it did before. Then {restart}.";
const HEAP_FIX =
  "Raise the heap limit of {source} (for Java `-Xmx`, for Node `--max-old-space-size`) within the host's memory, look for what fills it, then {restart}.";

/** The kernel's OOM kill, an exhausted heap, a failed allocation, a cgroup's limit. */
export const OUT_OF_MEMORY = rulesOf("out_of_memory", FIX, [
  {
    id: "kernel-oom-kill",
    any: words(`
      out of memory: kill | killed process | invoked oom-killer | oom-kill: | oom_reaper: reaped
      out of memory and no killable
    `),
    when: /out of memory: kill|killed process \d{1,9}(?:, UID \d{1,9},?)? ?\((?<process>.{1,40}?)\).{0,40}(?:vm|rss)|invoked oom-killer|oom-kill:|oom_reaper: reaped|no killable/i,
    exitCodes: [137],
    tier: "root",
    cause: "The kernel ran out of memory and killed {process|a process of {source}}.",
  },
  {
    id: "cgroup-oom",
    beats: ["kernel-oom-kill"],
    any: words(`memory cgroup out of memory | task in / | memory: usage`),
    when: /memory cgroup out of memory|killed as a result of limit|memory: usage .{1,40}limit .{1,40}failcnt/i,
    exitCodes: [137],
    tier: "root",
    cause: "{source} reached the memory limit of its cgroup, and the kernel killed {process|a process} in it.",
    fix: LIMIT_FIX,
  },
  {
    id: "oom-killed",
    any: words(`oomkilled | oom-killed | oom killed | oom_killed`),
    not: /oomkilled"?\s?[:=]\s?"?false/i,
    exitCodes: [137],
    tier: "root",
    cause: "{source} was killed because it used more memory than its limit allows.",
    fix: LIMIT_FIX,
  },
  {
    id: "systemd-oom-kill",
    any: words(`
      failed with result 'oom-kill' | a process of this unit has been killed by the oom killer | systemd-oomd killed
      result: oom-kill | result 'oom-kill'
    `),
    tier: "root",
    cause: "A process of {source} was killed for lack of memory.",
    fix: LIMIT_FIX,
  },
  {
    id: "java-heap",
    any: words(`java.lang.outofmemoryerror | outofmemoryerror`),
    not: /unable to create (?:new )?native thread/i,
    exitCodes: [3],
    tier: "root",
    cause: "The Java heap of {source} is exhausted.",
    fix: HEAP_FIX,
  },
  {
    id: "worker-killed-perhaps-memory",
    any: words(`perhaps out of memory | page allocation failure | errno 12 | errno: 12 | os error 12`),
    when: /perhaps out of memory|page allocation failure|errno:? 12\b|os error 12\b/i,
    tier: "symptom",
    cause: "A process of {source} got no memory, or was killed, probably for lack of it.",
  },
  {
    id: "java-memory-reserve",
    any: words(`
      there is insufficient memory for the java runtime | native memory allocation ( | could not reserve enough space
      os::commit_memory | gc overhead limit exceeded
    `),
    tier: "root",
    cause: "Java could not get the memory that it needs from the system.",
    fix: HEAP_FIX,
  },
  {
    id: "node-heap",
    any: words(`
      javascript heap out of memory | reached heap limit | allocation failed - javascript heap
      ineffective mark-compacts | err_worker_out_of_memory
    `),
    exitCodes: [134],
    tier: "root",
    cause: "The JavaScript heap of {source} is exhausted.",
    fix: HEAP_FIX,
  },
  {
    id: "php-memory-limit",
    any: words(`allowed memory size of`),
    when: /allowed memory size of (?<limit>\d{1,15}) bytes exhausted/i,
    tier: "root",
    cause: "A PHP script of {source} needed more than its memory_limit of {limit|the configured} bytes.",
    fix: "Raise memory_limit for {source} in php.ini or its pool, or find the script that needs so much, then {restart}.",
  },
  {
    id: "go-out-of-memory",
    any: words(`
      runtime: out of memory | fatal error: out of memory | cannot allocate heap | runtime: cannot allocate memory
    `),
    exitCodes: [2],
    tier: "root",
    cause: "The Go program {source} could not get more memory.",
  },
  {
    id: "python-memory-error",
    any: words(`
      memoryerror | unable to allocate | numpy.core._exceptions._arraymemoryerror | cuda out of memory
      defaultcpuallocator: can't allocate
    `),
    when: /^.{0,120}\bmemoryerror\b|unable to allocate .{1,40}(?:bytes|[kmgt]i?b)|_ArrayMemoryError|cuda out of memory|can't allocate memory/i,
    tier: "root",
    cause: "{source} could not allocate the memory that it asked for.",
  },
  {
    id: "cannot-allocate",
    any: words(`
      cannot allocate memory | enomem | can't allocate memory | could not allocate memory | failed to allocate memory
      unable to allocate memory | not enough memory | memory allocation failed | memory allocation of
      insufficient memory | can't allocate buffer | cannot allocate memory for the buffer pool | memory exhausted
      virtual memory exhausted | memory allocation failure | allocation failure
    `),
    not: /overcommit_memory is set to 0|might|may fail|memory allocation of 0|shared memory segment|locked in memory|insufficient memory\.$|nodes are available/i,
    tier: "cause",
    cause: "{source} asked the system for memory and got none.",
  },
  {
    id: "cpp-bad-alloc",
    any: words(`
      std::bad_alloc | bad_alloc | nomemoryerror | failed to allocate memory (nomemoryerror)
      system.outofmemoryexception | out of memory exception | eheap_alloc | eheap_alloc: cannot allocate
      binary_alloc: cannot allocate
    `),
    tier: "root",
    cause: "{source} could not allocate the memory that it needs.",
  },
  {
    id: "postgres-out-of-memory",
    any: words(`out of memory | out of shared memory`),
    when: /(?:error|fatal|panic|failed|failure|: |^)\s{0,4}out of (?:shared )?memory|out of memory (?:\()|ran out of memory|run out of memory/i,
    not: /out of memory: kill/i,
    tier: "cause",
    cause: "{source} ran out of memory.",
  },
  {
    id: "redis-maxmemory",
    any: words(`oom command not allowed when used memory | command not allowed when used memory >`),
    tier: "root",
    cause: "Redis has reached its maxmemory and refuses writes.",
    fix: "See `redis-cli info memory`. Raise maxmemory or choose an eviction policy (maxmemory-policy) for {source}, and find out which keys grew.",
  },
  {
    id: "circuit-breaker",
    any: words(`circuitbreakingexception | circuit_breaking_exception | data too large, data for`),
    tier: "cause",
    cause: "Elasticsearch's circuit breaker refused a request that would have exhausted the heap.",
    fix: HEAP_FIX,
  },
  {
    id: "memory-watermark",
    any: words(`memory resource limit alarm set | vm_memory_high_watermark set | memory high watermark`),
    when: /alarm set|watermark set\. memory used|exceeded/i,
    tier: "cause",
    cause: "RabbitMQ uses more memory than its watermark allows and blocks publishers.",
  },
  {
    id: "pod-evicted-memory",
    any: words(`the node was low on resource: memory | node was low on resource: memory | memorypressure`),
    when: /low on resource: memory|MemoryPressure.{0,20}true/i,
    tier: "root",
    cause: "The node ran low on memory, and {source} was evicted.",
    fix: "See `kubectl describe node` and `kubectl top pods`. Set requests and limits for {source} that fit the node, or add memory.",
  },
  {
    id: "pod-memory-unschedulable",
    any: words(`insufficient memory`),
    when: /nodes are available.{0,120}insufficient memory/i,
    tier: "cause",
    cause: "No node has the memory that {source} asks for.",
    fix: "Lower the memory request of {source} or add a node; `kubectl describe nodes` shows what is reserved.",
  },
  {
    id: "memory-threshold",
    where: "message",
    any: words(`memory usage | memory used | memory at | available memory | swap usage | free memory`),
    when: /\d/,
    tier: "symptom",
    cause: "The memory of the host or of {source} is nearly used up.",
  },
]);
