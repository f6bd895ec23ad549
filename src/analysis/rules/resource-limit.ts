import { rulesOf, words } from "./rule.ts";

const FIX =
  "See how near {source} is to its limit and why (a leak, a rush, too many clients). Cure that or raise the limit ({limit|the one that the line names}), then {restart}.";
const FILES_FIX =
  "Count the open files of {source} (`ls /proc/<pid>/fd | wc -l`); look for a leak, or raise LimitNOFILE with {edit} (for a container `--ulimit nofile`), then {restart}.";
const WATCH_FIX =
  "Raise fs.inotify.max_user_watches and fs.inotify.max_user_instances by a file in /etc/sysctl.d and `sysctl --system`, then {restart} ({source}).";
const TASKS_FIX =
  "Count the processes and threads of {source} (`systemctl status`, `ps -eLf`); look for a leak, or raise TasksMax or LimitNPROC with {edit} (for a container `--pids-limit`), then {restart}.";
const CONNECTIONS_FIX =
  "See who holds the connections. Bound the pools of the clients, close what leaks, or raise the limit of {source} within its memory ({limit|for instance max_connections}), then {restart}.";

/** A limit other than memory and disk: files, processes, threads, connections, watches, rates. */
export const RESOURCE_LIMIT = rulesOf("resource_limit", FIX, [
  {
    id: "too-many-open-files",
    any: words(`
      too many open files | emfile | enfile | file descriptors exhausted | file-max limit | zu viele offene dateien
      out of file descriptors | no file descriptors available | no more file descriptors | (24: too many
      file descriptor limit | worker_connections exceed open file resource limit | open files limit
      max file descriptors | max number of clients reached | (errcode: 24 | os error 24
      unable to set the max number of files | errno 24 | ulimit -n | nofile
    `),
    when: /too many open files|\bEMFILE\b|\bENFILE\b|descriptors? (?:exhausted|available)|file-max limit|zu viele|out of file desc|no more file desc|\(24:|errcode: 24|os error 24|errno 24|max file descriptors \[\d{1,9}\]|(?:nofile|ulimit -n|open files limit|file descriptor limit).{0,80}(?:too low|insufficient|exceeded|reached|unable)|file descriptor limit alarm|file descriptor.{0,40}alarm set/i,
    not: /\bwarn\]? .{0,40}worker_connections|inotify/i,
    tier: "root",
    cause: "{source} has as many files and sockets open as it may.",
    fix: FILES_FIX,
  },
  {
    id: "inotify-limit",
    any: words(`
      inotify | system limit for number of file watchers | max_user_watches | max_user_instances
      file watchers reached | user limit on total number of inotify | failed to add / | inotify_init
      inotify_add_watch
    `),
    when: /(?:no space left|too many open files|limit|out of|no more|failed to (?:create|initialize|allocate)).{0,160}(?:inotify|watch)|(?:inotify|watch).{0,160}(?:no space left|limit|too many|failed)/i,
    tier: "root",
    cause: "The kernel's limit of file watches is used up.",
    fix: WATCH_FIX,
  },
  {
    id: "fork-rejected",
    any: words(`
      fork rejected by pids controller | resource temporarily unavailable | cannot fork | can't fork | unable to fork
      fork failed | unable to create new native thread | unable to create native thread | pthread_create failed
      failed to create new os thread | can't start new thread | failed to create thread | cannot create thread
      can't create a new thread | can't create new thread | could not create thread | could not fork
      thread creation failed | eagain | no more processes | nproc | pids limit | max number of threads | process limit
      unable to spawn | newosproc | cannot create worker thread | thread limit | failed to start thread
      uv_thread_create | too many processes
    `),
    when: /fork rejected|(?:fork|clone|thread|spawn|process|setuid|posix_spawn|create|exec).{0,100}(?:resource temporarily unavailable|EAGAIN)|resource temporarily unavailable.{0,80}(?:fork|thread|process)|(?:cannot|can't|unable to|could not) fork|fork failed|native thread|pthread_create|os thread|start new thread|(?:create|creat\w{1,3}) (?:a )?(?:new |worker )?thread|thread creation|no more processes|newosproc|max number of threads \[|(?:nproc|pids|process|thread) limit.{0,40}(?:reached|exceeded|hit)|pids limit|too many processes|start thread/i,
    not: /cannot allocate memory|could not set limit|recv|read\(|epoll|\block\b/i,
    tier: "root",
    cause: "{source} may not start another process or thread: a limit on their number is reached.",
    fix: TASKS_FIX,
  },
  {
    id: "postgres-connections",
    any: words(`
      too many clients already | remaining connection slots are reserved | too many connections for role
      too many connections for database | too many connections | er_con_count_error | user_connections
      max_connections | max_user_connections | max number of clients reached | connection limit exceeded
      no more connections allowed | query_wait_timeout | maximum number of connections | max_client_conn
      connection limit reached | maxconn | sorry, too many clients | too many active connections
      too many open connections | connection refused because too many | no more connections | connections limit
      worker_connections are not enough | maximum connections | max connections reached | exceeded max connections
      limit of connections
    `),
    when: /too many (?:clients|connections|active|open)|slots are reserved|CON_COUNT|max_(?:user_)?(?:connections|client_conn).{0,60}(?:exceed|reach|current|resource|hit)|max number of clients|connections? limit|no more connections|maximum (?:number of )?connections.{0,60}(?:reach|exceed|hit)|query_wait_timeout|worker_connections are not|limit of connections|max connections reached|exceeded max/i,
    not: /reducing max_connections|changed limits|\[Note\]|requested \d/i,
    tier: "root",
    cause: "All connections that {host|the server} allows are taken, so new ones are refused.",
    fix: CONNECTIONS_FIX,
  },
  {
    id: "connection-pool-exhausted",
    any: words(`
      connection pool | queuepool limit | unable to acquire jdbc connection
      connection is not available, request timed out | timeout acquiring a connection | resourcerequest timed out
      timeout exceeded when trying to connect | could not obtain a database connection | pool exhausted
      pool is exhausted | hikaripool | timed out fetching a new connection from the connection pool
      obtaining a connection from the pool | obtain connection from pool | pool timed out | poolexhausted
      max pool size | too many requests in progress | pool.timeout
    `),
    when: /pool (?:is )?(?:exhausted|timed out|limit|timeout|full)|queuepool limit|not available, request timed out|acquir\w{1,3} (?:a |jdbc )?connection|obtain\w{0,3} (?:a )?(?:database )?connection|resourcerequest|new connection from the connection pool|from the pool|max pool size was reached|pool .{0,60}(?:exhausted|timed out)|PoolExhausted/i,
    not: /refused|unknown host|\binfo\b(?!['"]:)|authentication/i,
    tier: "likely",
    cause: "The connection pool of {source} is used up.",
    fix: CONNECTIONS_FIX,
  },
  {
    id: "conntrack-full",
    any: words(`
      nf_conntrack: table full | ip_conntrack: table full | table full, dropping packet | neighbour table overflow
      neighbor table overflow | possible syn flooding | too many orphaned sockets | tcp: out of memory
      ports exhausted | cannot assign requested address | eaddrnotavail | no free ports
    `),
    when: /table full|table overflow|SYN flooding|orphaned sockets|tcp: out of memory|ports exhausted|no free ports|connect.{0,120}(?:cannot assign requested address|EADDRNOTAVAIL)/i,
    not: /listen|bind/i,
    tier: "cause",
    cause: "A network table of the kernel is full, so connections are dropped.",
    fix: "See what opens so many connections (`ss -s`). Raise the limit by a file in /etc/sysctl.d (for conntrack net.netfilter.nf_conntrack_max) and `sysctl --system`; then look at {source} again.",
  },
  {
    id: "map-count",
    any: words(`
      vm.max_map_count | max virtual memory areas | max file descriptors [ | max number of threads [
      max size virtual memory | memory locking requested
    `),
    when: /too low|increase|not locked|bootstrap/i,
    tier: "root",
    cause:
      "The kernel or the service manager allows {source} less than it demands at its start (limit {limit|in the line}).",
    fix: "Raise what the line names: for vm.max_map_count a file in /etc/sysctl.d and `sysctl --system`, for files and processes LimitNOFILE or LimitNPROC in the unit. Then {restart} ({source}).",
  },
  {
    id: "rate-limited",
    any: words(`
      429 too many requests | too many requests | rate limit | ratelimit | rate-limit | throttlingexception
      throttled | requestlimitexceeded | slow down | provisionedthroughputexceeded | quota exceeded for
      too many certificates | resource_exhausted | http 429 | status 429 | status code 429 | code: 429 | status=429
      api limit
    `),
    when: /429|too many (?:requests|certificates)|rate.?limit(?:ed|ing)?\b.{0,60}(?:exceed|reach|hit|error|:)|(?:exceed\w{0,3}|reached|hit|over) .{0,60}rate.?limit|ratelimited|rate.?limited|throttl|RequestLimitExceeded|SlowDown|ThroughputExceeded|quota exceeded for|RESOURCE_EXHAUSTED/i,
    not: /pull rate limit|toomanyrequests|cpu|journald|imuxsock|suppress|message length|printk|callbacks|larger than max|received message larger/i,
    tier: "cause",
    cause: "{host|A service that {source} calls} refuses requests because there are too many in too short a time.",
    fix: "Let {source} call less often (back-off, cache, batches), or ask for a higher limit; it goes on when the window has passed.",
  },
  {
    id: "semaphores-exhausted",
    any: words(`
      could not create semaphores | semget | shmget | could not create shared memory segment
      no space left on device: couldn't create accept lock | ah00023 | shmmax | could not set limit | rlimit_memlock
      memlock | could not lock memory
    `),
    when: /semaphores|semget|shm|shared memory segment|accept lock|AH00023|memlock.{0,80}(?:limit|fail|too)|lock memory/i,
    not: /permission denied|already exists|\/dev\/shm|could not resize/i,
    tier: "root",
    cause: "A limit of the kernel on semaphores, shared or locked memory is used up.",
    fix: "See `ipcs -ls` and `ipcs -lm`; raise kernel.sem or kernel.shmmax (or LimitMEMLOCK) by a file in /etc/sysctl.d and `sysctl --system`, then {restart} ({source}).",
  },
  {
    id: "php-fpm-children",
    any: words(`
      server reached pm.max_children | reached max_children | server reached maxrequestworkers
      maxrequestworkers setting | scoreboard is full | scoreboard, consider | maxclients setting
      seems busy (you may need to increase | listen queue | ah00484 | ah00485 | ah00161 | ah03490
      all workers are busy | no workers available | thread pool exhausted | rejectedexecutionexception
      es_rejected_execution_exception | queue is full | thread pool is exhausted | rejected execution
      listen queue of socket
      maxstartups | process_limit | argument list too long | no available ipv4 addresses | non-overlapping ipv4 address pool | no ip addresses available | insufficient_quota | fullyexhausted | client connections are being dropped
    `),
    when: /max_children|MaxRequestWorkers|scoreboard|MaxClients|AH00(?:484|485|161)|AH03490|workers are busy|no workers available|exhausted|rejected.?execution|queue is full|listen queue.{0,40}full|MaxStartups.{0,60}(?:throttl|drop|exceed)|beginning MaxStartups|process_limit.{0,40}reached|argument list too long|no available ipv4|non-overlapping|no IP addresses available|insufficient_quota/i,
    tier: "cause",
    cause: "All workers of {source} are busy: the limit on their number is reached.",
    fix: "See what keeps the workers of {source} busy (slow requests, a slow database). Cure that, or raise the number of workers within its memory ({limit|the setting in the line}), then {restart}.",
  },
  {
    id: "kubernetes-quota",
    any: words(`
      exceeded quota: | insufficient cpu | too many pods | insufficient pods | cpu throttling
      insufficient nvidia.com | exceeds max | pod sandbox changed
    `),
    when: /exceeded quota|nodes are available.{0,120}(?:insufficient cpu|too many pods|insufficient pods|insufficient nvidia)|too many pods/i,
    tier: "cause",
    cause: "The cluster or the namespace has no room left for {source}.",
    fix: "See `kubectl describe resourcequota` and `kubectl describe nodes`; lower the requests of {source}, raise the quota or add a node.",
  },
  {
    id: "message-too-large",
    any: words(`
      message larger than max | packet bigger than 'max_allowed_packet' | max_allowed_packet
      request entity too large | client intended to send too large body | recordtoolargeexception | message_too_large
      message size exceeds | maximum shards open | maximum normal shards open | limit of total fields
      too_many_buckets | too many nested | statement too complex | max_locks_per_transaction | channel_max
      maximum number of | max_prepared_stmt_count | maxclients | too many redirects
    `),
    when: /larger than max|bigger than|too large|toolarge|MESSAGE_TOO|size exceeds|shards open|limit of total|buckets|max_locks_per_transaction|channel_max|maximum number of .{0,60}(?:reached|exceeded)|max_prepared/i,
    not: /\[note\]|increase max_locks_per_transaction and.{0,20}info|file too large/i,
    tier: "likely",
    cause: "{source} ran into a configured limit: {limit|see the line}.",
  },
  {
    id: "limit-threshold",
    where: "message",
    any: words(`open files | file descriptors | connections | threads | processes | conntrack | tasks | sockets`),
    when: /\d.{0,60}(?:threshold|limit|max|of \d)/i,
    not: /refused|failed|idle/i,
    tier: "symptom",
    cause: "{source} is near or above a limit: {limit|see the message}.",
  },
]);
