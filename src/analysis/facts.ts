/**
 * What a line names: read for the templates, when the rule's own expression did not catch it. What repeats inside a repetition
 * begins with a separator that it does not hold itself, so that there is one way to read a line.
 */
export type Facts = Readonly<Record<string, string>>;

const FILE_ENDS =
  /\.(?:c|cc|cfg|class|cnf|conf|cpp|crt|cs|csv|db|dll|env|erl|ex|exs|go|h|html|ini|jar|java|js|json|key|kt|lock|log|lua|mjs|mount|p12|pem|php|pid|pl|pm|properties|py|rb|rs|scope|service|sh|slice|so|sock|socket|sql|target|timer|toml|ts|txt|wal|xml|ya?ml|zip)(?::\d{1,6})?$/i;

const READERS: readonly (readonly [string, readonly RegExp[]])[] = [
  [
    "port",
    [
      /\bport[ =:'"[(]{1,4}(\d{1,5})\b/i,
      /\b(?:tcp|udp)[46]?[:/ ]{1,2}(\d{1,5})\b/i,
      /\b(?:\d{1,3}\.){3}\d{1,3}:(\d{1,5})\b/,
      /(?:\]|::|localhost|\*)[:,] ?(\d{1,5})\b/i,
      /\{(?:\d{1,3},){3}\d{1,3}\},(\d{2,5})\b/,
      /\((?:\d{1,4}), (\d{2,5})\)/,
      /', (\d{2,5})\)/,
      /(?:listen|bind|address|http|server|on) :(\d{2,5})\b/i,
      /\/\/[\w.-]{1,200}:(\d{2,5})\b/,
    ],
  ],
  [
    "host",
    [
      /https?:\/\/([\w.-]{1,200}(?::\d{2,5})?)/i,
      /\b((?:\d{1,3}\.){3}\d{1,3}(?::\d{2,5})?)\b/,
      /\b(?:lookup|ENOTFOUND|EAI_AGAIN|UnknownHostException:|resolve host(?:name)?:?|host(?:name)?:) ["'`‘]?([a-z][\w.-]{1,100}(?::\d{2,5})?)\b/i,
      /\bhost=?['"`‘]{1,2}([a-z][\w.-]{1,100}(?::\d{2,5})?)['"`’]/i,
      /\b(?:host|server|server on|to|at|upstream|broker|node|from|with)[ =:]{1,3}["'`]?([a-z][\w-]{0,60}(?:\.[\w-]{1,60}){1,6}(?::\d{2,5})?)/i,
      /\b(?:to|at|server|reach|connect) ["'`]?([a-z][\w-]{1,60}:\d{2,5})\b/i,
      /\b(localhost(?::\d{2,5})?)\b/,
      /(?:for|to|of|:|address) ["']?([a-z][\w-]{1,60}(?:\.[a-z][\w-]{0,60}){0,5}\.(?:com|net|org|io|dev|local|internal|corp|lan|example|test|cloud|svc|home|arpa|edu|gov|info|intra))\b(?![.\w])/i,
    ],
  ],
  ["user", [/\buser[ =:]{1,3}["'`]?([\w.@-]{1,64})/i]],
  ["process", [/killed process \d{1,10}(?:, UID \d{1,10},?)? ?\(([^)]{1,40})\)/i, /task=([^,]{1,40}),pid=/]],
  [
    "module",
    [
      /\b(lib[\w+-]{1,60}\.so[\d.]{0,12})\b/,
      /(?:module|package|class|gem|extension|library|plug-?in|driver|provider|collection|crate) (?:file )?(?:named |called |"|'|`|<|‘)?["'`<‘]?(\w[\w@./:-]{1,120}[\w/])["'`>’]?/i,
      /["'`‘](\w[\w@./-]{1,120})["'`’]/,
    ],
  ],
  [
    "device",
    [
      /\b(?:dev(?:ice)?|on) ["'(]?((?:sd|vd|xvd|nvme|mmcblk|dm-|md|loop|st|nst)[\w-]{1,20})\b/i,
      /(?:fs|XFS|BTRFS[\w ]{0,12}) ?\((?:device )?([a-z][\w-]{1,20})\)/,
      /(\/dev\/[\w/-]{2,60})/,
      /\b(nvme\d{1,3}(?:n\d{1,3})?|ata\d{1,3}(?:\.\d{2})?|mmcblk\d{1,2}|sd[a-z]{1,2}\d{0,3})\b/,
    ],
  ],
  [
    "image",
    [
      /["'`]([\w.-]{1,100}(?::\d{2,5})?(?:\/[\w.-]{1,100}){0,5}(?::[\w.-]{1,100}|@sha256:\w{8,64})?)["'`]/,
      /\b(?:image|for|pull|reference|artifact) ["'`]?([\w.-]{1,100}(?:\/[\w.-]{1,100}){0,5}:[\w.-]{1,100})/i,
      /\b(?:for|of) ([\w.-]{1,100}(?:\/[\w.-]{1,100}){1,5})\b/,
    ],
  ],
  [
    "setting",
    [
      /["'`‘[]([\w.=:@-][\w.=:@ -]{1,60}[\w.=:@-])["'`’\]]/,
      /\b([A-Z][A-Z0-9]{1,30}_[A-Z0-9_]{1,60})\b/,
      /\b(?:directive|option|variable|parameter|setting|keyword|key|field|property|attribute|argument|flag)[ :=]{1,3}(-{0,2}\w[\w.-]{1,80})/i,
      /(?<![\w-])(--[\w-]{2,60})\b/,
    ],
  ],
  [
    "limit",
    [
      /\b((?:vm|fs|net|kernel)\.[\w.]{3,60}|max_connections|max_children|MaxRequestWorkers|max_user_connections|worker_connections|nofile|nproc|RLIMIT_\w{2,10})\b/i,
      /\bmax [\w ]{3,40}\[(\d{1,12})\]/,
    ],
  ],
  ["detail", [/(?:panic: |panicked at |Error: |Exception: |fatal error: |ERROR |died: )([^{}]{3,140})/]],
];

const PATHS: readonly RegExp[] = [
  /["'`‘]((?:\/|\.{1,2}\/|~\/)[^"'`’\s]{1,200})["'`’]/g,
  /(?:^|[\s(=:,<[])((?:\/|~\/)[\w.@+%~-]{1,80}(?:\/[\w.@+%~-]{1,120}){0,12}\/?)/g,
  /["'`]([\w-]{1,80}\/[\w./-]{1,150})["'`]/g,
  /\b([\w-]{1,80}\.(?:conf|cnf|ya?ml|json|toml|ini|cfg|env|jar|pem|key|crt|sh|py|js|pid|lock|db|log|so|dat|sqlite3?|cfg\.lua|xml|properties))\b/g,
];

const FACT_CHARS_MAX = 200;

/** Log text in a sentence of ours: one line, no control characters, of bounded length. */
export const plain = (text: string): string =>
  text
    .replace(/[\p{C}\s]{1,400}/gu, " ")
    .trim()
    .slice(0, FACT_CHARS_MAX)
    .replace(/[.,;:]{1,5}$/, "");

/** Time, host and process, as syslog puts them before what a program says: nothing of it is a fact of the failure. */
const HEAD =
  /^(?:\w{3} {1,2}\d{1,2} [\d:]{8} |\d{4}-\d\d-\d\d[T ][\d:.,+Z-]{5,32} )?(?:[\w.-]{1,100} )?[\w./@-]{1,60}(?:\[\d{1,10}\])?: /;

interface PathAt {
  readonly at: number;
  readonly value: string;
}

/**
 * The path that the failure is about: the one that stands last before the words of the failure, since an error ends with what it
 * could not do, and begins with where it was asked to; else the first after them.
 */
const pathOf = (text: string, end: number): string | undefined => {
  const all: PathAt[] = PATHS.flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => {
      const value = (match[1] ?? "").replace(/[:.,]$/, "");
      return { at: match.index + match[0].indexOf(value), value };
    }),
  ).filter(({ value }) => value.length > 1 && !/^\/{2}|:\/\//.test(value));
  const isPart = (one: PathAt) =>
    all.some(
      (other) =>
        other !== one &&
        other.at <= one.at &&
        other.at + other.value.length >= one.at + one.value.length &&
        other.value.length > one.value.length,
    );
  const found = all.filter((one) => !isPart(one));
  const before = found.filter(({ at }) => at < end).sort((a, b) => b.at - a.at);
  return (before[0] ?? found.sort((a, b) => a.at - b.at)[0])?.value;
};

/** Level, time, thread and the class of an exception before what is said. */
const PREAMBLE =
  /^(?:(?:\d{4}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?|\[[^\]]{1,60}\]|\(?(?:FATAL|PANIC|ERROR|ERR|CRITICAL|SEVERE|WARN|WARNING|EMERG|ALERT|INFO|NOTICE|E!|Error|Fatal|fatal|error|panic)\)?:?|Exception in thread "[^"]{1,80}"|Caused by:|-{2,3}>|(?:[\w$]{1,40}\.){1,10}\w{1,60}(?:Exception|Error):|[-|:*#!])\s{1,10}/;
const SAID_CHARS_MAX = 180;

/** What the program says itself, without what stands before it; of a line of fields its message and its error. */
const saidIn = (text: string): string => {
  const fields = [...text.matchAll(/\b(?:msg|message|err|error|reason)"?[=:] ?"((?:[^"\\]|\\.){3,300})"/g)].map(
    (match) => match[1] ?? "",
  );
  let said = fields.length > 0 ? fields.join(": ") : text.trimStart();
  for (let cut = 0; cut < 8 && PREAMBLE.test(said); cut++) said = said.replace(PREAMBLE, "");
  const short = plain(said).slice(0, SAID_CHARS_MAX);
  return short.length < SAID_CHARS_MAX ? short : `${short.replace(/\s\S{0,40}$/, "")} …`;
};

/** Words that stand where a host's name may. */
const NO_HOST =
  /^(?:a|address|an|and|error|failed|failure|for|host|hostname|is|key|name|not|on|or|resolution|resolve|server|service|the|to|unknown|was|with)$/i;

const isFact = (name: string, value: string): boolean => {
  if (name === "host")
    return !NO_HOST.test(value) && !FILE_ENDS.test(value) && !/^(?:java|javax|sun|org|io)\./.test(value);
  if (name === "port") return Number(value) > 0 && Number(value) < 65_536;
  return true;
};

/** The facts of a line: those of the rule's expression first. `end` is where its words end. */
export const factsOf = (
  line: string,
  named: Record<string, string | undefined> | undefined,
  end = line.length,
): Facts => {
  const head = HEAD.exec(line)?.[0].length ?? 0;
  const text = line.slice(head);
  const facts: Record<string, string> = {};
  for (const [name, patterns] of READERS)
    for (const pattern of patterns) {
      const value = pattern.exec(text)?.[1];
      if (value === undefined || facts[name] !== undefined || !isFact(name, value)) continue;
      facts[name] = plain(value);
    }
  const path = pathOf(text, end - head);
  if (path !== undefined) facts.path = plain(path);
  for (const [name, value] of Object.entries(named ?? {})) if (value) facts[name] = plain(value);
  facts.said = saidIn(text);
  if (facts.port !== undefined) facts.port = `${/\budp\b|udp[46:]/i.test(text) ? "UDP port" : "port"} ${facts.port}`;
  facts.sockets = /\budp\b|udp[46:]/i.test(text) ? "ss -lunp" : "ss -ltnp";
  return facts;
};
