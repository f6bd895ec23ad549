import { rulesOf, words } from "../rules/rule.ts";

const MEMORY_FIX =
  "See who uses the memory ({status}, `free -m`). Give {source} more memory or let it need less (smaller caches, batches, fewer workers), then {restart}.";
const SPACE_FIX =
  "See what is full with `df -h` and `df -i`, and what fills it with `du -xsh` there. Free or add space, then {restart} ({source}).";
const LIMIT_FIX =
  "See how near {source} is to its limit and why (a leak, a rush, too many clients). Cure that or raise the limit ({limit|the one that the line names}), then {restart}.";
const PORT_FIX =
  "Find who has {port|the port} with `{sockets}`. Stop that program, or give {source} another one in its configuration, then {restart}.";

/** Memory is used up: of the host, of a limit, of a heap, of a graphics card. */
export const NO_MEMORY = rulesOf("out_of_memory", MEMORY_FIX, [
  {
    id: "gpu-memory",
    any: words(`
      cuda out of memory | cuda_error_out_of_memory | cudaerrormemoryallocation | hip out of memory | gpu memory | gpu out of memory | vram | out of device memory | error_out_of_device_memory | cublas_status_alloc_failed | cuda error: out of memory | outofmemoryerror: cuda | mps backend out of memory | resource_exhausted: oom | oom when allocating tensor | cudamalloc failed
    `),
    not: /usage|total vram|free vram/i,
    beats: ["java-heap", "python-memory-error", "postgres-out-of-memory", "memory-exhausted"],
    tier: "root",
    cause: "The memory of the graphics card is used up: {source} asked for more than is free on it.",
    fix: "See with `nvidia-smi` (or the card's own tool) who uses the card. Let {source} need less (a smaller batch or model, lower precision), move other programs off the card, then {restart}.",
  },
  {
    id: "memory-exhausted",
    any: words(`
      out of memory | outofmemory | oom | memory exhausted | insufficient memory | not enough memory | no memory | memory limit | memory allocation | failed to allocate | cannot allocate | can't allocate | could not allocate | unable to allocate | allocation failed | allocation failure | allocation of | malloc | calloc | realloc | mmap | bad_alloc | enomem | heap exhausted | heap space | heap limit | heap overflow | memoryerror | nomemoryerror | storage_error | memory usage | exceeds memory | exceeded memory | memory quota | ran out of memory | run out of memory | killed process | lack of memory | allocator returned | resident set | memory pressure | not enough ram | low on memory | more memory | system memory | memory cgroup | memory threshold | virtual memory | speicher | mémoire | memoria | memória | メモリ
    `),
    when: /\bout of (?:\w{1,12} )?memory\b|\bOutOfMemory\w{0,12}|\bOOM[- ]?(?:kill|error|when)\w{0,3}|memory (?:is )?(?:exhausted|full)|(?:insufficient|not enough|no more|no free|no|low on|lack of|short of) (?:\w{1,12} )?(?:memory|ram)\b(?! leak| error)|(?:requires?|needs?|wants?) (?:more|at least|\d[\d.]{0,6} ?[kmgt]i?b(?: of)?) (?:\w{1,12} )?(?:memory|ram)\b|(?:memory|mem|rss|heap) (?:usage |use |size )?(?:limit|quota|threshold|high watermark|cap)\b.{0,60}(?:exceed|reach|hit|abov|over)|exceed(?:s|ed|ing)? (?:the |its )?(?:\w{1,16} )?(?:memory|resident set)(?: limit| quota| usage)?|(?:failed|unable|cannot|can't|could not|couldn't|error) (?:to )?(?:m?alloc(?:at\w{1,4})?|reserve|mmap|map|commit)\b.{0,60}(?:bytes|memory|buffer|\d ?[kmgt]i?b|heap|pages|pool|shared)|(?:m|c|re)alloc(?:\(\))? ?(?:of .{1,30} )?(?:failed|error|returned null)|\balloc\w{1,8}(?:\(\))? returned (?:null|nil)\b|mmap.{0,40}(?:failed|error).{0,40}memory|allocation (?:of .{1,40} |still |again )?(?:failed|failure)|std::bad_alloc|\bMemoryError\b|NoMemoryError|STORAGE_ERROR|heap (?:is )?(?:exhausted|overflow)|killed .{0,60}(?:out of memory|lack of memory|oom)|nicht genügend (?:haupt)?speicher|mémoire (?:insuffisante|épuisée)|memoria (?:insuficiente|agotada)|memória insuficiente|メモリ(?:不足|を確保)/i,
    not: /mlock|memlock|locked memory|shared memory segment|overcommit_memory|\bmay\b|\bmight\b|no out of memory|lock manager|memory limit (?:set|is|=|:)|no memory leak|OOMKilled"?[:=] ?"?false|shm|native thread|address already|no memory limit|perhaps|possibly|swap limit|cgroup support|cgroup memory|memory controller|oom_score/i,
    tier: "cause",
    cause: "{source} ran out of memory.",
  },
]);

/** Space is used up: disks, quotas, volumes, stores with a size of their own. */
export const NO_SPACE = rulesOf("disk_full", SPACE_FIX, [
  {
    id: "space-used-up",
    any: words(`
      no space | disk full | disk is full | disks are full | device full | volume full | volume is full | filesystem full | filesystem is full | file system is full | storage full | storage is full | out of space | out of disk | disk space | free space | space left | space available | enough space | insufficient space | insufficient storage | insufficient disk | insufficient free | low space | low disk | low on space | low on disk | out of inodes | no inodes | quota exceeded | over quota | quota reached | quota limit | block limit reached | disk quota | exceeds quota | exceeded quota | edquot | enospc | mailbox full | mailbox is full | pool is full | partition is full | is 100% full | 100 % full | percent full | bytes left | bytes free | bytes available | b left | b free | 100% | watermark | disk usage | nearfull | backfillfull | full osd | osd full | full ratio | cannot write: | short write | database is full | space exhausted | tablespace | wal size | kein platz | plus d'espace | no hay espacio | sem espaço | 容量不足 | drive threshold | osd_full | full osd | minimum free | fill up | filled up | almost full | is full
    `),
    when: /\bneeds? (?:at least )?[\d.]{1,8} ?[kmgt]i?b (?:of )?(?:free )?(?:disk )?(?:space|storage)|\b(?:no|not enough|insufficient|out of|low on|lack of|too little|running out of|ran out of|less than .{1,30} of) (?:\w{1,12} )?(?:free )?(?:disk |storage |log |tmp |temp |volume )?(?:space|storage|inodes?)\b(?! ?(?:=|ships?|character))|\b(?:disk|device|volume|file ?system|partition|storage|pool|spool|mailbox|tablespace|osd|datastore|drive|mount|\/[\w./-]{1,100})s?(?: \S{1,60})? (?:is |are |was |has become )?(?:\w{1,8} )?(?:\d{1,3} ?% )?full\b|\b(?:space|storage|inodes?) (?:is )?(?:exhausted|used up|exceeded|depleted)|(?:disk|storage|space|user|group|mailbox|project|inode|block|file) ?quota .{0,40}(?:exceeded|reached|full|over)|(?:over|exceed(?:s|ed|ing)) (?:the |its |your )?(?:\w{1,12} )?(?:disk |storage )quota|\b(?:user|group|project) (?:block|file|inode)s? (?:limit|quota) (?:reached|exceeded)|disk usage .{0,60}(?:exceed|above|over|critical|9\d ?%|100 ?%)|(?:\b0 ?(?:bytes|[kmgt]i?b) (?:of (?:disk )?space )?(?:left|free|available)\b)|\b(?:disk|volume|file ?system|partition|mount)\b.{0,40}\b100 ?% (?:capacity|used|usage)|(?:free|available|disk) (?:disk |storage )?space .{0,60}(?:below|less than|under|too low|too small|lower than|insufficient|is low|only|minimum)|(?:near|backfill)full|\bfull osd|OSD_FULL|minimum free (?:drive|disk|space)|full ratio|(?:flood|high|low)[- ](?:stage )?.{0,10}watermark .{0,30}exceed|\b(?:ENOSPC|EDQUOT)\b|kein (?:freier )?(?:platz|speicherplatz)|plus (?:d'espace|de place)|no hay (?:suficiente )?espacio|sem espaço|容量不足/i,
    not: /inotify|\bwatch(?:es|ers?)\b|semget|shm|address space|swap space|heap|white ?space|name ?space|key ?space|user space|api (?:rate|quota|limit|calls)|\brate|requests?|cpu|pods|memory|code cache|PermGen|queue is full|log is not full|buffer (?:is )?full|scoreboard|\bring|backlog|table full|connection|no space between|channel|disk is not full|full (?:backup|\bscan|sync|\btext|screen|name|path|stack|log)/i,
    tier: "cause",
    cause: "The place that {source} writes to ({path|see the line}) has no space left.",
  },
]);

/** A limit other than memory and disk. */
export const NO_ROOM = rulesOf("resource_limit", LIMIT_FIX, [
  {
    id: "limit-reached",
    any: words(`
      too many | limit | limits | maximum | max | exhausted | exceeded | exceeds | quota | throttl | rate limit | rate-limit | rate_limit | no more | no free | none free | all slots | free slot | slots | too many | no available | out of | pool | reached | rlimit | ulimit | nofile | nproc | backlog | queue full | queue is full | overflow | over capacity | capacity | overloaded | saturated | concurrency | sem_ | backpressure | license | seats | 429
    `),
    when: /\btoo many (?:open )?(?:\w{1,20} )?(?:\w{1,20} )?(?:files?|connections?|clients?|processes|threads|requests?|sessions?|users|descriptors|sockets|tasks|jobs|workers|watches|instances|streams|channels|handles|children|logins|attempts|queries|subscribers|consumers|series|shards|partitions|tables|locks|pending|concurrent|messages|references|pods|containers|segments)|\b(?:\w{3,20} )?(?:limit|maximum|max(?:imum)? number|quota|cap|ceiling)(?: of| on| for)? ?[\w \d/().,'"_-]{0,60}(?:reached|exceeded|exhausted|hit|used up|surpassed|full)|(?:reached|exceed(?:s|ed|ing)?|exhausted|hit|over|above|beyond|at) (?:the |its |a |our |your )?(?:\w{1,16} )?(?:\w{1,16} )?(?:\w{1,16} )?(?:limit|maximum|max|quota|cap)\b|(?:no (?:more|free|available)|(?<!\d )out of) (?:[a-z]{3,12} )?(?:file descriptors?|descriptors|watch(?:es|ers)|slots?|workers?|threads?|connections?|handles?|ports?|sockets?|sessions?|licen[sc]es?|seats?|semaphores?|pids?|process(?:es)?|ip addresses|addresses|leases?|subnets?|channels?|entropy|cpus?|capacity|concurrency)\b|\bno (?:\w{1,12} )?(?:descriptors|slots?|workers?|threads?|connections?|handles?|ports?|sockets?|sessions?|licen[sc]es?|seats?|semaphores?|pids?|addresses|leases?|channels?|entropy|cpus?|capacity) (?:left|available|free|remaining)\b|\b(?:pool|queue|backlog|table|ring|scoreboard|slots?|workers?|channel|cache) (?:is |are |was )?(?:exhausted|saturated|overflow(?:ed)?|full\b)|(?:no|find|get) (?:a )?free slot|\btoo many [\w-]{1,20} ?\(\d|too many \w{2,20} per \w|\d > (?:max|limit)|\bno free [\w ]{2,20} (?:remaining|left|available)|\b(?:cpu|network|bandwidth|ports?|ip)\b["' ]{0,2} ?exhausted|(?:are|is) (?:all )?in use$|all \w{3,30} are in use|rate[- _]?limit(?:ed|ing| exceeded| reached|:)|(?:api|request|call|message)s? (?:rate )?(?:limit|quota) (?:has been )?(?:exceeded|reached)|throttl(?:ed|ing) ?(?:exception|error|:|by|request)|\b429\b.{0,30}(?:too many|rate|status|error|response|quota)|(?:status|code|http|error|returned)[^\d]{0,12}\b429\b|\(\d{1,6} of \d{1,6} (?:in use|used)\)|no (?:\w{1,12} )?(?:licen[sc]e )?(?:seats?|licen[sc]es?) (?:available|left|free)|(?:all|every) (?:\w{1,12} )?(?:workers?|slots?|connections?|threads?|licen[sc]es?|seats|children) (?:are |is )?(?:busy|in use|used|taken|occupied)|RLIMIT_\w{2,10}|ulimit|server (?:is )?(?:overloaded|too busy|at capacity)|licen[sc]e (?:count|limit)|RESOURCE_EXHAUSTED/i,
    not: /memory|heap|disk|block limit|space|storage|inode|mailbox|pull rate|toomanyrequests|retr(?:y|ies)|attempts?.{0,20}(?:reached|exceeded|connect)|time ?limit|timed? ?out|deadline|max_execution|execution time|redirects|arguments|authentication failures|restart|start(?:-| )limit|start request|back-?off|login attempts|failed attempts|port (?:is )?already|address already|journald|printk|callbacks|suppress|no more data|certificate|failures|\bresets?\b|errors\b/i,
    tier: "cause",
    cause: "{source} ran into a limit: {said|see the line}.",
  },
]);

/** Another program has the port. */
export const PORT_TAKEN = rulesOf("port_conflict", PORT_FIX, [
  {
    id: "port-taken",
    any: words(`
      already in use | in use | already used | is used by | being used | already taken | is taken | taken by | not free | something else uses | occupied | already bound | already allocated | is allocated | already listening | is listening | another process | another program | another application | another service | another server | other program | something else | already open | already running on | busy | already claimed | already has | cannot bind | can't bind | could not bind | couldn't bind | unable to bind | failed to bind | failed binding | bind failed | bind error | error binding | bind() | binding failed | belegt | déjà utilisé | en uso | em uso | 使用中 | only one usage
    `),
    when: /\b(?:port|address|socket|listener|endpoint|interface:port|addr|:\d{2,5}|(?:tcp|udp)[/: ]\d{1,5})\b.{0,100}(?:already (?:in use|used|taken|bound|allocated|listening|open|claimed|occupied|being used)|(?:is|are) (?:currently )?(?:in use|taken|occupied|used|busy|allocated|being used)|in use by|used by another|being used by|taken by|not free|not available|unavailable|belegt|en uso|em uso)|(?:another|other|different) (?:\w{1,16} )?(?:process|program|application|service|server|instance|daemon|container|something)\b.{0,60}(?:on|using|has|owns|bound to) (?:this |that |the )?(?:same |tcp |udp )?port|(?:cannot|can't|could not|couldn't|unable to|failed to|failed|error|failure) (?:to )?(?:bind(?:ing)?|listen(?:ing)?)\b.{0,120}(?:in use|taken|used|occupied|98\b|10048)|EADDRINUSE|only one usage of each socket|(?:listen|bind).{0,60}(?:something else|another (?:process|program|server|instance|daemon))|adresse .{0,30}(?:verwendet|utilisée)|使用中/i,
    not: /permission denied|cannot assign|container name|name "?\/|email|user ?name|export|mount|database|file|lock|subnet|pool overlap|serial port|\/dev\/|usb|not available in|unavailable:/i,
    tier: "root",
    cause: "{source} could not listen: {port|its port} is already taken by another program.",
  },
  {
    id: "bind-failed",
    any: words(`
      cannot bind | can't bind | could not bind | couldn't bind | unable to bind | failed to bind | failed binding | bind failed | bind error | error binding | bind() | binding failed | bind: | cannot listen | can't listen | could not listen | unable to listen | failed to listen | listen error | listen failed | could not open port | cannot open port | failed to open port | unable to open port | fail to bind | fails to bind | bind on | creating server tcp listening | creating server listening | failed to create listen | cannot create listen | could not create listen | unable to start listener | failed to start listener
    `),
    when: /(?:cannot|can't|could not|couldn't|unable to|fail(?:ed|s)?(?: to)?|error) (?:bind(?:ing)?|listen(?:ing)?)\b|\b(?:bind|listen|binding)(?:\(\))?(?: \w{1,10})? ?(?:failed|error|failure)|(?:open|create|start) (?:the )?(?:\w{1,10} )?(?:port|listen\w{0,6})\b.{0,60}fail|creating server .{0,20}listening/i,
    not: /permission denied|not permitted|cannot assign|\(13\)|\(99\)|\b99\b|no such file|name or service|getaddrinfo|nodename|address family|invalid|ldap|key|variable|\bwidget|credential|anonymous|\bdn\b|not available|no such device|mount|volume|directory|resolve|unknown/i,
    tier: "symptom",
    cause: "{source} could not listen on {port|its port}; as a rule another program has it.",
  },
]);
