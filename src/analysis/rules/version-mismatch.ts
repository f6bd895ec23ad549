import { rulesOf, words } from "./rule.ts";

const FIX =
  "Put the versions together: run the version of {source} that fits its data or its partner, or upgrade the other side by its documented way (for data after a backup). Then {restart}.";

/** Versions that do not go together: data, architecture, API, protocol, schema. */
export const VERSION_MISMATCH = rulesOf("version_mismatch", FIX, [
  {
    id: "postgres-data-version",
    any: words(`
      database files are incompatible with server | which is not compatible with this version
      the data directory was initialized by postgresql version | there appears to be postgresql data in
      pre-existing postgresql data | in 18+, these docker images | aborting because of server version mismatch
      server version mismatch | old cluster | unsupported version ( | unsupported frontend protocol
    `),
    when: /incompatible|not compatible|was initialized by|appears to be|18\+|version mismatch|unsupported (?:version|frontend)/i,
    tier: "root",
    cause: "The data directory was made by another major version of PostgreSQL than the one that runs now.",
    fix: "Run {source} with the old major version again, dump with `pg_dumpall` or use `pg_upgrade`, and load into the new one; keep the old data until that is proven.",
  },
  {
    id: "mysql-data-version",
    any: words(`
      invalid mysql server downgrade | invalid mysql server upgrade | cannot upgrade server earlier than
      unsupported redo log format | the redo log was created with | redo log format | cannot boot server version
      data dictionary version | upgrade is not supported after a crash | upgrade after a crash is not supported
      was created with mysql | cannot downgrade from | mysql_upgrade | incompatible with | downgrade is not supported
      innodb: unsupported
    `),
    when: /invalid MySQL server|cannot upgrade server|unsupported|redo log (?:was created|format)|cannot boot|data dictionary version|after a crash|cannot downgrade|created with mysql|downgrade|(?:run|execute|using) mysql_upgrade|incompatible with/i,
    not: /unsupported (?:config|option|sni|protocol)/i,
    tier: "root",
    cause: "The data was made by another version of MySQL or MariaDB than the one that runs now.",
  },
  {
    id: "mongo-feature-version",
    any: words(`
      featurecompatibilityversion | wrong mongod version | upgrade problem | wt_error: unsupported
      unsupported wiredtiger file version | this version of mongodb is too recent | is too new
      incompatible wire version | server at | maximum wire version | reports wire version
      requires a cpu with avx support | unsupported file version | cannot start server. detected data files in
    `),
    when: /featureCompatibilityVersion.{0,200}(?:invalid|expected|error|upgrade|mismatch|not)|wrong mongod|upgrade problem|unsupported|too recent|wire version|detected data files in .{0,120} created by the '|AVX support/i,
    not: /"s":"I"|setting featurecompat/i,
    tier: "root",
    cause: "Data or driver do not fit the version of MongoDB that runs now.",
  },
  {
    id: "redis-data-version",
    any: words(`
      can't handle rdb format version | unknown aux field | err unknown command | unknown redis command
      redis server needs to be | unknown rdb format
    `),
    when: /rdb format version|err unknown command|unknown redis command|needs to be|unknown rdb format/i,
    tier: "root",
    cause: "The Redis data or client expects another version of Redis than the one that runs now.",
  },
  {
    id: "search-data-version",
    any: words(`
      minimum compatible version | minimum index compatibility version | cannot upgrade a node from version
      indexformattoooldexception | cannot downgrade a node | was created with version | indexformattoonewexception
      it should be re-indexed in | the client noticed that the server is not | unsupportedproducterror
      received message from unsupported version | incompatible with your current version | elasticsearch version
      this version of kibana | index created in version | incompatible elasticsearch nodes | plugin [
      can't downgrade from version
    `),
    when: /compatible version|compatibility version|cannot (?:up|down)grade|format ?too ?(?:old|new)|created (?:with|in) version|re-indexed|noticed|UnsupportedProduct|unsupported version|incompatible|requires elasticsearch|plugin \[.{1,80}\] (?:was built for|is incompatible)|can't downgrade/i,
    tier: "root",
    cause: "Index, plugin or client do not fit the version of Elasticsearch that runs now.",
  },
  {
    id: "wrong-architecture",
    any: words(`
      exec format error | wrong elf class | does not match the detected host platform | cannot execute binary file
      invalid elf header | incompatible architecture | bad cpu type | elf file os abi invalid
      no such image architecture | mach-o, but wrong architecture | rosetta error | is not a valid win32 application
      cannot execute: required file not found | x86-64-v2 | cpu does not support | kernel too old
      unsupported architecture
    `),
    not: /\bwarn(?:ing)?\b.{0,120}detected host platform/i,
    exitCodes: [126, 203, 255],
    tier: "root",
    cause: "{source} was built for another processor or system than this one.",
    fix: "Compare `uname -m` with the architecture of {path|the program or image} (`docker inspect {source}`, `file`), take the build for this machine, then {restart}. A script without a first line `#!` gives the same error.",
  },
  {
    id: "glibc-too-old",
    any: words(`
      version \`glibc | version \`glibcxx | version \`cxxabi | version 'glibc | glibc_2. | glibcxx_3
      version \`openssl | version \`lib
    `),
    when: /version [`'].{1,60}' not found|GLIBC(?:XX)?_[\d.]{1,12}.{0,30}not found/i,
    tier: "root",
    cause: "{source} was built against a newer C library than this system has.",
    fix: "Take a build of {source} for this system's release, or run it in an image with the newer library, then {restart}.",
  },
  {
    id: "java-class-version",
    any: words(`
      unsupportedclassversionerror | unsupported major.minor version
      has been compiled by a more recent version of the java runtime | class file version | requires java
      java version | nosuchmethoderror | nosuchfielderror | abstractmethoderror | incompatibleclasschangeerror
      requires at least java | unsupported java
    `),
    when: /UnsupportedClassVersion|major\.minor|more recent version|class file (?:has wrong )?version|requires (?:at least )?java|java (?:version )?\d.{0,60}(?:required|not supported|or (?:later|newer|higher))|NoSuchMethodError|NoSuchFieldError|AbstractMethodError|IncompatibleClassChange|unsupported java|minimum required java/,
    tier: "root",
    cause: "{source} needs another Java version, or its jars do not go together.",
    fix: "Compare `java -version` of {source} with what it needs; install that Java or take the jars of one release, then {restart}.",
  },
  {
    id: "node-abi",
    any: words(`
      was compiled against a different node.js version | node_module_version | ebadengine
      the engine "node" is incompatible | requires node | unsupported engine | err_ossl_evp_unsupported
      node.js version | err_require_esm | requires at least node | unsupported node | node version
      digital envelope routines::unsupported
    `),
    when: /compiled against|NODE_MODULE_VERSION|engine .{0,20}incompatible|requires (?:at least )?node|EVP_UNSUPPORTED|node(?:\.js)? version .{0,80}(?:required|not supported|unsupported|is not|too old|or higher|incompatible|minimum)|ERR_REQUIRE_ESM|unsupported (?:engine|node)|envelope routines::unsupported/i,
    not: /npm warn|warn EBADENGINE/i,
    tier: "cause",
    cause: "{source} or one of its modules was made for another version of Node.js.",
    fix: "Compare `node --version` where {source} runs with package.json's engines; use that version, or install the modules again under this one (`npm rebuild`), then {restart}.",
  },
  {
    id: "python-version",
    any: words(`
      requires python | requires-python | requires a different python | module compiled against abi version
      module was compiled against | numpy.dtype size changed | binary incompatibility
      numpy.core.multiarray failed to import | versionconflict | contextualversionconflict | python version
      bad magic number in | unsupported pickle protocol | cannot be run in python
    `),
    when: /requires.{0,12}python|different python|compiled against|size changed|binary incompat|multiarray failed|VersionConflict|python (?:version )?[\d.]{1,8}.{0,60}(?:required|not supported|or (?:later|newer|higher))|bad magic number in '|unsupported pickle/i,
    tier: "cause",
    cause: "{source} or one of its modules was made for another version of Python.",
  },
  {
    id: "ruby-php-version",
    any: words(`
      your ruby version is | your php version | requires php | composer detected issues in your platform
      compiled with module api= | module api= | compiled with build id= | does not match the php
      your bundle only supports platforms | is not binary compatible | requires ruby | requires rubygems
      zend engine api | magento supports php | you have already activated | must install bundler
      requires zend engine api version
    `),
    when: /your (?:ruby|php) version|requires (?:php|ruby)|composer detected|module api|build id|only supports platforms|binary compatible|zend engine|already activated|bundler \d|supports php|does not match/i,
    tier: "cause",
    cause: "{source} or one of its modules was made for another version of its language.",
  },
  {
    id: "dotnet-version",
    any: words(`
      you must install or update .net to run this application | the required framework version
      framework: 'microsoft.netcore.app', version
    `),
    tier: "cause",
    cause: "{source} needs another version of .NET than the installed one.",
  },
  {
    id: "api-version",
    any: words(`
      is too new. maximum supported api version | is too old. minimum supported api version | no matches for kind
      server doesn't have a resource type | unsupported api version | unsupportedversionexception
      the broker does not support | unsupported protocol version | protocol version mismatch
      incompatible protocol version | incompatible version | incompatible versions | version mismatch | version skew
      incompatible broker | unsupported version | not supported by this version | unsupported server version
      server version | client version | incompatibleversion | protocol mismatch | unsupported protocol
      no longer supported | requires version | version is too old | version too old | schema version
      is not compatible with | is incompatible with | unknown version | unsupported format version | newer version
      older version | cannot downgrade | downgrade | minimum version | incompatible kernel | api version
      mismatched versions | mismatched protocol | unsupported kernel | not compatible with
      was built with an older version | was built for | invalid version | cluster version | feature_flags
      feature flags | unsupported snapshot | unimplemented: | service runtime.v1
      downgrad | is too old | image operating system | cannot be used on this platform | does not match current requirements | upgrading from | you cannot upgrade | upgrade path
      required to upgrade
      version >= | current version is | version is required | or newer is required | or later is required | or higher is required
    `),
    when: /too (?:new|old)\b|no matches for kind|resource type|unsupported.{0,30}version|version mismatch|version skew|incompatible.{0,30}(?:version|broker|kernel|database|data|schema|with)|mismatched (?:version|protocol)|protocol (?:version )?mismatch|broker does not support|not supported by this version|no longer supported|requires .{0,60}(?:version|>=|at least)|version.{0,80}(?:is )?(?:not supported|unsupported|required|too old|too new|lower than|older than|newer than|higher than|mismatch|does not match|incompatible|greater than)|(?:newer|older) version (?:of|than)|cannot downgrade|downgrade.{0,60}(?:not|from|unsupported|detected)|not compatible with|was built (?:for|with an older)|feature.flags?.{0,120}(?:not supported|disabled|incompatible|required|must be enabled)|unsupported (?:kernel|snapshot|format)|unknown service runtime\.v1|downgrading is not|cannot be used on this platform|does not match current requirements|is too old|cannot upgrade|upgrade path|upgrading from major|required to upgrade/i,
    not: /deprecat|wrong version number|\bwarn(?:ing)?\b|obsolete|please update|new version available|\binfo\b(?!['"]:)|config option|ssl|tls|resourceversion|conflict|a newer version of|npm notice|there is a newer|notice:|ssh-2\.0|unsupported protocol scheme/i,
    tier: "likely",
    cause: "{source} and its data or its partner are of versions that do not go together.",
  },
  {
    id: "migration-mismatch",
    any: words(`
      flywayexception | validate failed: migrations | schema-validation: | can't locate revision identified by
      database schema is newer | database version is newer | detected applied migration not resolved
      migration checksum mismatch | the database was migrated | database is at version | pendingmigrationerror
      pending migrations | migrations are pending | invalidschemaversion | db version | newer than | no such column
      undefined column | unknown column | inconsistentmigrationhistory | migrations failed validation
      schema mismatch | dirty database version
    `),
    when: /flyway|validate failed|schema-validation|locate revision|(?:schema|database|db)(?: version)?.{0,60}(?:is )?newer|not resolved locally|checksum mismatch|was migrated|at version|pending ?migration|migrations are pending|InvalidSchemaVersion|InconsistentMigration|schema mismatch|dirty database|(?:no such|undefined|unknown) column/i,
    not: /connection|refused|unable to obtain/i,
    tier: "cause",
    cause: "The database schema is of another version than the one {source} expects.",
    fix: "Compare the version of {source} with the migrations in its database; run the missing migrations, or the version of {source} that fits, after a backup.",
  },
  {
    id: "kernel-module-version",
    any: words(`
      nvidia-container-cli | driver/library version mismatch | cuda driver version is insufficient | version magic
      disagrees about version of symbol | invalid module format | unsatisfied condition: cuda
    `),
    when: /version mismatch|insufficient|version magic|disagrees|module format|unsatisfied condition/i,
    tier: "root",
    cause: "A driver or kernel module does not fit the version of the kernel or library.",
    fix: "Compare driver, library and kernel (`uname -r`, `modinfo`, `nvidia-smi`); reboot into the matching kernel or install the matching driver, then {restart} ({source}).",
  },
]);
