import { rulesOf, words } from "./rule.ts";

const FIX =
  "Stop {source} and copy its data before anything else. Check the disk (`smartctl -a`, `journalctl -k`), then restore from the last good backup, or use the program's own repair on the copy.";

/** A corrupt database, index or file; a checksum that does not fit. */
export const DATA_CORRUPTION = rulesOf("data_corruption", FIX, [
  {
    id: "postgres-corruption",
    any: words(`
      could not locate a valid checkpoint record | invalid primary checkpoint record | invalid page in block
      page verification failed | invalid page header | could not read block | missing chunk number
      unexpected chunk number | invalid resource manager id | unexpected zero page | invalid checkpoint record
      contains unexpected | incorrect resource manager data checksum | could not access status of transaction
      xlog flush request | is not satisfied | heap tuple | unexpected data beyond eof
      invalid memory alloc request size | could not find redo location | invalid magic number
      control file contains invalid | incorrect checksum in control file | requested wal segment | invalid contents
      calculated crc checksum does not match | invalid data in file | backup_label | right sibling
      left link changed unexpectedly | cross page item order | could not open relation mapping file
    `),
    when: /valid checkpoint|primary checkpoint|invalid (?:page|checkpoint|resource manager|magic|contents|memory alloc|data in file)|verification failed|could not read block .{0,160}read only|chunk number|zero page|contains (?:unexpected|invalid)|checksum|status of transaction|not satisfied|data beyond EOF|redo location|right sibling|left link|cross page|crc/i,
    not: /input\/output error|permission denied|no space/i,
    tier: "root",
    cause: "The data files of PostgreSQL are damaged.",
  },
  {
    id: "innodb-corruption",
    any: words(`
      database page corruption | due to corruption | innodb: corrupt | corrupted page | is corrupted
      tablespace is missing | innodb: page | checksum mismatch in | ib_logfile | log sequence number
      is in the future | is marked as crashed | incorrect key file for table | index for table
      table is marked as crashed | incorrect information in file | innodb: missing mlog_checkpoint
      missing file_checkpoint | innodb_force_recovery | is corrupt; try to repair | header page consists of zero bytes
      the redo log is corrupted | log scan aborted | innodb: header page | corruption in the innodb
      corruption of an index | corrupt aria | aria recovery failed | aria engine: checksum | wrong block
      page number stored in the page | invalid log block checksum | crashed and last (automatic?) repair failed
      binlog event data | bogus data in log event | read error. crc | event crc check failed
      error reading packet from server
    `),
    when: /page corruption|due to corruption|corrupt|crashed and|marked as crashed|incorrect (?:key file|information)|in the future|MLOG_CHECKPOINT|FILE_CHECKPOINT|zero bytes|log scan aborted|recovery failed|checksum|wrong block|page number stored|bogus data|CRC|tablespace is missing/i,
    not: /no space|errcode: 28|not corrupt|set innodb_force_recovery/i,
    tier: "cause",
    cause: "The data files of MySQL or MariaDB are damaged.",
  },
  {
    id: "redis-corruption",
    any: words(`
      bad file format reading the append only file | short read or oom loading db | wrong signature trying to load db
      unexpected end of file reading the append only file | wrong rdb checksum
      unrecoverable error reading the append only file | terminating server after rdb file reading failure
      rdb crc error | internal error in rdb reading | unknown rdb | corrupt rdb | aof loading
    `),
    when: /bad file format|short read|wrong (?:signature|rdb)|unexpected end of file|crc error|rdb reading|unrecoverable|corrupt|unknown rdb encoding/i,
    tier: "root",
    cause: "Redis cannot read its data file: it is damaged.",
    fix: "Stop {source} and copy its data directory. Check the file with `redis-check-aof` or `redis-check-rdb`, restore from a backup or repair the copy, then {restart}.",
  },
  {
    id: "mongo-corruption",
    any: words(`
      wt_panic | wiredtiger error | wt_error: non-specific | checksum error | detected unclean shutdown
      __wt_block_read | potential hardware corruption | read checksum error | wt.turtle | wiredtiger.turtle
      file:wiredtiger.wt | unable to read root page | unable to recover
    `),
    when: /checksum|WiredTiger error.{0,240}(?:corrupt|panic|checksum|fatal|encountered an illegal)|block_read|hardware corruption|wiredtiger\.turtle.{0,160}(?:fail|error|unexpected)|root page|unable to recover/i,
    not: /no space|permission denied|version|operation not permitted|"error":28|handle-write/i,
    tier: "root",
    cause: "The data files of MongoDB are damaged.",
  },
  {
    id: "wiredtiger-panic",
    any: words(`wt_panic`),
    tier: "symptom",
    cause: "MongoDB's storage engine gave up; as a rule its files are damaged.",
  },
  {
    id: "search-corruption",
    any: words(`
      corruptindexexception | corrupt_index_exception | translogcorruptedexception | corrupted translog
      index corrupted | corrupt index | failed to recover shard | misplaced codec footer | codec footer mismatch
      checksum failed (hardware problem | failed to parse state | translog from source | corrupted_
    `),
    when: /corrupt|codec footer|checksum failed|state file|translog from source/i,
    tier: "root",
    cause: "An index of {source} is damaged.",
    fix: "Look at `GET _cat/shards?v` and the disk. Let a good replica take over or restore the index from a snapshot; keep the damaged directory of {source} until that is done.",
  },
  {
    id: "log-store-corruption",
    any: words(`
      corruption in segment | wal corruption | corrupted wal | walcorruption | wal: crc mismatch | crc mismatch
      encountered wal error | corrupted record | corruptrecordexception | corrupt record | found invalid messages
      invalid checksum | checksum mismatch | unexpected checksum | checksum error | file corrupted
      database corrupted | bad checksum | checksum does not match | checksum verification failed | crc error
      crc32 mismatch | corrupted file | file is corrupt | corrupted database | corrupted data | corrupted index
      data corruption | corruption detected | corruption: | corruption on | is corrupt | found corrupt | db corrupt
      database is corrupt | block checksum mismatch | leveldb: manifest corrupted | missing-magic | cannot decompress
      walpb: crc | snap: crc | invalid tsdb | unexpected eof in archive | panic: freepages | page 0 already freed
      failed to verify | invalid freelist | bolt: | unloadable database | unable to load database on disk
      bad magic number | bad magic | invalid block header | unexpected end of input | corrupt message
      corruptdatabase | corrupted commit log | commitlogreplayexception | corruptsstableexception | invalid database
      gzip: invalid header | hash sum mismatch | digest mismatch | truncated file | data integrity | message_corrupt
      corrupted or uncleanly | corrupted block
      invalid page type | page expected to be | eofexception | unexpected end of json input
    `),
    when: /corrupt|crc|checksum|WAL error|found invalid messages|missing-magic|freepages|already freed|freelist|unloadable|load database on disk|bad magic|invalid (?:block header|database|header|tsdb)|CommitLogReplay|hash sum|digest mismatch|truncated|integrity|bolt: .{0,60}invalid|invalid page type|page expected to be|\bunexpected end of json input.{0,200}\/var\/lib|\/var\/lib.{0,200}unexpected end of json/i,
    not: /system\.journal corrupted or uncleanly|renaming and replacing|may be corrupt|possibly corrupted shared memory|not corrupt|heap|double free|size vs|checksumming|getting the checksum|checksum of|\binfo\b(?!['"]:).{0,60}checksum|free\(\)|hostkey|hash sum mismatch on /i,
    tier: "cause",
    cause: "Data of {source} is damaged: {path|a file} does not fit its checksum or format.",
  },
  {
    id: "sqlite-corruption",
    any: words(`
      database disk image is malformed | file is not a database | file is encrypted or is not a database
      malformed database schema | sqlite_corrupt | sqlite_notadb | btreeinitpage
    `),
    tier: "root",
    cause: "The SQLite database {path|of {source}} is damaged.",
    fix: 'Stop {source} and copy the file. Try `sqlite3 <copy> "PRAGMA integrity_check"` and `.recover` into a new file, or restore the last backup, then {restart}.',
  },
  {
    id: "file-system-corruption",
    any: words(`
      corruption of in-memory data | metadata corruption detected | xfs_repair | bad superblock
      bad magic number in super-block | unexpected inconsistency | run fsck manually | filesystem has errors
      structure needs cleaning | ext4-fs error | btrfs: error | btrfs error | btrfs critical
      parent transid verify failed | csum failed | leaf corruption | zfs: pool | pool metadata is corrupted
      wrong fs type, bad option, bad superblock | ext4_validate | deleted inode referenced | checksum invalid
      corrupt leaf | superblock checksum | unrecoverable data | permanent errors have been detected
      checksum error at logical | can't find ext4 filesystem | invalid superblock | directory inode
      bad block bitmap checksum | inode checksum | sb_read failed | fsck failed | systemd-fsck
    `),
    when: /corrupt|inconsistency|fsck manually|has errors|needs cleaning|xfs_repair|superblock|transid|csum failed|checksum|EXT4-fs error .{0,200}(?:bad |invalid|inode|deleted|corrupt|iget|bogus|validate|block bitmap)|unrecoverable|permanent errors|fsck.{0,80}(?:failed|error)/i,
    not: /journal_check_start|cannot read|error reading|i\/o error|io error|aborted journal|reading directory|Input\/output/i,
    tier: "cause",
    cause: "The file system {path|of {source}} is damaged.",
    fix: "Keep the data: unmount the file system and check it with its own tool (`fsck -n`, `xfs_repair -n`, `btrfs scrub`, `zpool status -v`), look at the disk with `smartctl -a`, then repair it or restore. Then look at {source} again.",
  },
  {
    id: "archive-damaged",
    any: words(`
      unexpected end of file | unexpected eof | invalid or corrupt jarfile | zipexception | invalid loc header
      not in gzip format | zip end header not found | error in opening zip file | bad zip file | badzipfile
      tar: unexpected eof | eoferror: | crc failed | pickle data was truncated | corrupt patch | object file
      loose object | bad object head | unable to read tree | packfile | rpmdb | db_runrecovery | rpmdb open failed
      thread died in berkeley db
    `),
    when: /unexpected (?:end of file|eof)|corrupt jarfile|zip|loc header|gzip format|EOFError|crc failed|truncated|(?:object file .{0,160} is empty)|corrupt|packfile .{0,160}(?:bad|invalid|cannot)|bad object|read tree|DB_RUNRECOVERY|rpmdb|berkeley/i,
    not: /config|yaml|json|\.conf|while reading|client|websocket|stream|tls|ssl|connection|handshake|response|syntax|expecting|looking for matching/i,
    tier: "likely",
    cause: "{path|A file that {source} reads} is damaged or cut off.",
    fix: "Fetch or build {path|the file} again and compare its checksum; look at disk space and disk health at the time it was written. Then {restart} ({source}).",
  },
  {
    id: "broker-store-corruption",
    any: words(`
      mnesia | msg_store | vhost_recovery | recovery terms | unable to recover vhost | unexpected end of journal
      last transaction was partial | unreasonable length | snapshot | missing_segment | bad_tree | dets
    `),
    when: /(?:mnesia|dets|msg_store|recovery terms|vhost|segment).{0,200}(?:corrupt|not_a_log_file|badmatch|bad_|not a dets|cannot open|eof)|last transaction was partial|unreasonable length|no snapshot found, but there are log entries|snapshot.{0,80}(?:corrupt|crc|checksum)/i,
    tier: "cause",
    cause: "The message store of {source} is damaged.",
  },
]);
