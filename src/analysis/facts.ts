/**
 * What a line names: read for the templates, when the rule's own expression did not catch it. What repeats inside a repetition
 * begins with a separator that it does not hold itself, so that there is one way to read a line.
 */
export type Facts = Readonly<Record<string, string>>;

const READERS: readonly (readonly [string, readonly RegExp[]])[] = [
  [
    "port",
    [
      /\bport[ =:'"]{1,4}(\d{2,5})\b/i,
      /\b(?:\d{1,3}\.){3}\d{1,3}:(\d{2,5})\b/,
      /(?:\]|::|localhost|\*)[:,] ?(\d{2,5})\b/i,
      /\{(?:\d{1,3},){3}\d{1,3}\},(\d{2,5})\b/,
      /\b[a-z][\w.-]{1,100}:(\d{2,5})\b(?![:.\d])/i,
      /\(\d{1,4}, (\d{2,5})\)/,
      /', (\d{2,5})\)/,
      /\s:(\d{2,5})\b/,
    ],
  ],
  [
    "path",
    [
      /["'`](\/[^"'`\s]{2,200})["'`]/,
      /(?:^|[\s(=:,])(\/[\w.@+%-]{1,80}\/[\w.@+%/-]{1,200})/,
      /["'`](\.{0,2}[\w-]{1,80}\/[\w./-]{1,150})["'`]/,
      /\b([\w-]{1,80}\.(?:conf|cnf|ya?ml|json|toml|ini|cfg|env|jar|pem|key|crt|sh|py|js|pid|lock|service|db|log))\b/,
    ],
  ],
  [
    "host",
    [
      /https?:\/\/([\w.-]{1,200}(?::\d{2,5})?)/i,
      /\b((?:\d{1,3}\.){3}\d{1,3}(?::\d{2,5})?)\b/,
      /\b(?:host|server|server on|to|at|upstream|broker|node)[ =:]{1,3}["']?([a-z][\w-]{0,60}(?:\.[\w-]{1,60}){1,6}(?::\d{2,5})?)/i,
      /\b(localhost(?::\d{2,5})?)\b/,
      /(?:for|to|of|:|address) ["']?([a-z][\w-]{1,60}(?:\.[a-z][\w-]{0,60}){1,6})\b/i,
    ],
  ],
  ["user", [/\buser[ =:]{1,3}["'`]?([\w.@-]{1,64})/i]],
  [
    "module",
    [
      /\b(lib[\w+-]{1,60}\.so[\d.]{0,12})\b/,
      /(?:module|package|class|gem|extension|library) (?:named )?["'`]?([\w@./-]{2,120})["'`]/i,
      /["'`]([\w@./-]{1,120})["'`]/,
    ],
  ],
  [
    "device",
    [
      /\b(?:dev(?:ice)?|on) ["'(]?((?:sd|vd|xvd|nvme|mmcblk|dm-|md|loop)[\w-]{1,20})\b/i,
      /\((?:device )?([a-z]{2,6}\d?[\w-]{0,12})\)/,
      /\b(nvme\d{1,3}(?:n\d{1,3})?|ata\d{1,3}(?:\.\d{2})?|mmcblk\d{1,2}|sd[a-z]{1,2}\d{0,3})\b/,
    ],
  ],
  [
    "image",
    [
      /["'`]([\w.-]{1,100}(?::\d{2,5})?(?:\/[\w.-]{1,100}){0,5}(?::[\w.-]{1,100}|@sha256:\w{8,64})?)["'`]/,
      /\b(?:image|for|pull|reference) ["'`]?([\w.-]{1,100}(?:\/[\w.-]{1,100}){0,5}:[\w.-]{1,100})/i,
      /\b(?:for|of) ([\w.-]{1,100}(?:\/[\w.-]{1,100}){1,5})\b/,
    ],
  ],
  [
    "setting",
    [
      /["'`]([\w./=:@ -]{1,100})["'`]/,
      /\b([A-Z][A-Z0-9]{1,30}_[A-Z0-9_]{1,60})\b/,
      /\b(?:directive|option|variable|parameter|setting|key|field|property)[ :=]{1,3}([\w.-]{1,80})/i,
    ],
  ],
  [
    "limit",
    [
      /\b((?:vm|fs|net|kernel)\.[\w.]{3,60}|max_connections|max_children|MaxRequestWorkers|max_user_connections|worker_connections|nofile|nproc)\b/i,
      /\[(\d{1,12})\]/,
    ],
  ],
  ["detail", [/(?:panic: |panicked at |Error: |Exception: |fatal error: )([^{}]{3,140})/]],
];

const FACT_CHARS_MAX = 200;

/** Log text in a sentence of ours: one line, no control characters, of bounded length. */
export const plain = (text: string): string =>
  text
    .replace(/[\p{C}\s]{1,400}/gu, " ")
    .trim()
    .slice(0, FACT_CHARS_MAX)
    .replace(/[.,;:]{1,5}$/, "");

/** The facts of a line: those of the rule's expression first. */
export const factsOf = (line: string, named: Record<string, string | undefined> | undefined): Facts => {
  const facts: Record<string, string> = {};
  for (const [name, patterns] of READERS)
    for (const pattern of patterns) {
      const value = pattern.exec(line)?.[1];
      if (value === undefined || facts[name] !== undefined) continue;
      facts[name] = plain(value);
    }
  for (const [name, value] of Object.entries(named ?? {})) if (value) facts[name] = plain(value);
  return facts;
};
