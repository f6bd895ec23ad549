import { rulesOf, words } from "./rule.ts";

const FIX =
  "Find who holds the lock ({path|see the line}) with `fuser -v` or `lsof`, and whether another instance of {source} runs (`pgrep -a`). Let that one end properly; only when none runs is the lock file a left-over that may be moved aside. Then {restart}.";
const DATABASE_FIX =
  "See which sessions wait for which (pg_stat_activity and pg_locks, or SHOW ENGINE INNODB STATUS). End the transaction that blocks in an orderly way, keep transactions of {source} short and in one order, and let it try again.";

/** Another instance holds the lock or PID file; a deadlock or lock wait in a database. */
export const LOCK_CONFLICT = rulesOf("lock_conflict", FIX, [
  {
    id: "postmaster-lock",
    any: words(`
      lock file " | is another postmaster (pid | is another postgres (pid | another server might be running
      postmaster.pid
    `),
    when: /lock file ".{1,200}" (?:already exists|is empty)|is another post(?:master|gres) \(|another server might be running/i,
    tier: "root",
    cause: "PostgreSQL found a lock file: another server uses the data directory, or one ended without cleaning up.",
  },
  {
    id: "innodb-lock",
    any: words(`
      unable to lock ./ibdata | unable to lock | check that you do not already have another mysqld process
      can't lock aria control file | another process is using | os_file_get_status
    `),
    when: /unable to lock .{0,80}(?:ibdata|error: 11|ib)|another mysqld process|can't lock aria|unable to lock the/i,
    tier: "root",
    cause: "Another mysqld already uses these data files.",
  },
  {
    id: "mongo-lock",
    any: words(`
      unable to lock the lock file | another mongod instance is already running | old lock file
      unable to create/open the lock file | dbpathinuse | mongod.lock
    `),
    when: /unable to lock|another mongod|old lock file|DBPathInUse|mongod\.lock.{0,120}(?:resource temporarily|exists|locked)/i,
    tier: "root",
    cause: "Another mongod uses the data directory, or one ended without cleaning up.",
  },
  {
    id: "already-running",
    any: words(`
      is already running | already running | another instance | another copy is running | another process is already
      already started | daemon already running | already active | instance is running | is running already
      process already running | already have a running | already in use by another
      already used by another
    `),
    when: /(?:server|instance|process|daemon|agent|copy|pid|program|supervisor|another|service|lock|master|unicorn|celery|application|broker|node)\b.{0,80}already (?:running|started|active)|another (?:instance|copy|process|program)\b.{0,80}(?:running|started|exists|using|has|holds)|already running.{0,60}(?:pid|process)|instance is running|in use by another (?:process|instance|program)|already used by another/i,
    not: /port|address|container .{0,80} is already running|\binfo\b(?!['"]:)|running on port|not already/i,
    tier: "cause",
    cause: "Another instance of {source} is already running, or its PID file says so.",
  },
  {
    id: "pid-file-exists",
    any: words(`pid file | pidfile | server.pid | .pid exists | .pid already | stale pid`),
    when: /(?:pid ?file|\.pid)\b.{0,160}(?:exists|overwriting|stale|locked|found|in use)|stale pid|pidfile .{0,80}exist/i,
    not: /no such file|not found|can't open pid file|failed to (?:parse|read)|overwritten|does not exist|permission/i,
    tier: "cause",
    cause: "The PID file {path|of {source}} exists already: another instance runs, or one ended without cleaning up.",
  },
  {
    id: "elasticsearch-node-lock",
    any: words(`
      failed to obtain node lock | failed to obtain node locks | lockobtainfailedexception
      lock held by another program | lock obtain timed out | shardlockobtainfailedexception
      lock held by this virtual machine | nativefslock | obtain shard lock
    `),
    tier: "root",
    cause: "Another node uses the data directory {path|of {source}}.",
  },
  {
    id: "kafka-lock",
    any: words(`
      failed to acquire lock on file .lock | a kafka instance in another process or thread is using this directory
      unable to lock directory | directory is locked | is locked by another | locked by another process
      locked by another
    `),
    tier: "root",
    cause: "Another process holds the lock of {path|the data directory} of {source}.",
  },
  {
    id: "lock-held",
    any: words(`
      could not get lock | unable to acquire the dpkg | dpkg frontend lock | could not acquire lock
      cannot acquire lock | failed to acquire lock | unable to acquire lock | can't acquire lock
      failed to obtain lock | could not obtain lock | unable to obtain lock | failed to get lock | unable to lock
      could not lock | cannot lock | can't lock | failed to lock | lock is already held | lock already held
      already locked | lock file | lockfile | lock exists | lock: resource temporarily unavailable
      resource is locked | locked by | existing lock on appdata | waiting for lock | waiting for cache lock
      acquiring the state lock | failed to create/acquire the lock | repository is already locked
      another app is currently holding the xtables lock | xtables lock | yum lock | holding the yum lock
      opening lock | lock is held | could not acquire change log lock | lockexception | lock db directory
      lock file exists | index.lock | flock | holds the lock | obtain lock | acquire lock | lock on
      unable to get lock | lock_file | lock acquisition | couldn't acquire | lock timeout
      is being used by another process | text file busy | device or resource busy | target is busy | etxtbsy
      resource busy or locked | ebusy | lockunavailable | cannot get exclusive lock | an exclusive lock
      unable to access file | cannot obtain lock | locked the
      write" lock | terminated by other getupdates | "write" lock
    `),
    when: /(?:could(?: not|n't)|unable to|cannot|can't|failed to|failure|error|fatal).{0,80}(?:\block\b|\blocked?\b|lockfile|lock file|locks\b)|lock.{0,60}(?:already held|is held|exists|resource temporarily|held by|timed? ?out|busy)|already locked|locked by|waiting for (?:cache )?lock|xtables lock|state lock|existing lock|LockException|holds the lock|being used by another process|text file busy|resource busy|resource or device busy|target is busy|index\.lock|ETXTBSY|EBUSY|terminated by other getUpdates|failed to get "\w{1,12}" lock/i,
    not: /unlock|lock owner|lock memory|cannot lock memory|mlock|memlock|package-lock|yarn\.lock|Cargo\.lock|composer\.lock|Gemfile\.lock|Pipfile\.lock|poetry\.lock|no space left|permission denied|read-only file system|no such file|accept lock|deadlock|lock wait timeout|\binfo\b(?!['"]:).{0,40}lock owner|account|blocked|not permitted|in the lock ?file|lockfile is|lockfile version|lock file version|lock file is not up|clock/i,
    tier: "cause",
    cause: "{source} could not take a lock that something else holds: {path|see the line}.",
  },
  {
    id: "database-deadlock",
    any: words(`
      deadlock detected | deadlock found when trying to get lock | er_lock_deadlock | was deadlocked on lock
      lock wait timeout exceeded | er_lock_wait_timeout | canceling statement due to lock timeout | ora-00060
      sqlstate[40001] | sqlstate[hy000]: general error: 1205 | could not serialize access | transaction was deadlocked
      waits for sharelock | waits for exclusivelock | deadlock victim | deadlockloserdataaccessexception
      cannotacquirelockexception | lock request time out period exceeded | writeconflict | deadlocked | ora-00054
      process still waiting for
    `),
    tier: "root",
    cause: "Transactions of {source} block each other in the database (a deadlock or a long lock wait).",
    fix: DATABASE_FIX,
  },
  {
    id: "sqlite-locked",
    any: words(`
      database is locked | database table is locked | sqlite_busy | sqlitebusy | sqlite_locked | database locked
      the database file is locked | db is locked
    `),
    tier: "root",
    cause: "The SQLite database {path|of {source}} is locked by another connection or process.",
    fix: "See who has the file open with `lsof`; let only one process write, keep transactions short, and set WAL mode and a busy timeout in {source}. Then {restart}.",
  },
  {
    id: "terraform-boltdb-lock",
    any: words(`
      cannot open database: timeout | panic: timeout | failed to open database: timeout | opening boltdb | tsdb: lock
      lock db directory: resource | pid 1 lock | timeout waiting for exclusive access | table metadata lock
      metadata lock
    `),
    when: /database: timeout|boltdb.{0,80}timeout|lock|exclusive access/i,
    not: /unlock/i,
    tier: "cause",
    cause: "Another process has the data file {path|of {source}} open.",
  },
  {
    id: "consul-erlang-name-taken",
    any: words(`
      seems to be running | node with name | already_registered | duplicate_name | name conflict
      the name is already in use | conflict. the container name | is already in use by container
      container name is already | nodeexistsexception | node already exists | /brokers/ids | conflicting node id
      already exists with node id | duplicate node id | keepererrorcode = nodeexists | has already a mapping
      address pool | pool overlaps
    `),
    when: /already running|already in use|already_registered|duplicate|conflict|NodeExists|already exists|overlaps/i,
    not: /directory|table |relation|database "|file exists|key value/i,
    tier: "cause",
    cause: "Another instance already uses the name or identity of {source}.",
    fix: "See who has the name: `docker ps -a` for a container, the cluster's member list for a node. Let the old one end or give {source} another name, then {restart}.",
  },
]);
