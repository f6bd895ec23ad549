/**
 * The level of a log line as programs write it: in JSON, as `level=error`, in brackets, between pipes, before a colon, or as a word
 * of its own behind the time, the host, the program, the thread. It is looked for at the line's beginning only, word by word, until
 * the message begins: a line that talks about errors has no level of error.
 */
import { fieldsOf, jsonOf } from "../lib/json.ts";

type Level = "error" | "other";

const ERROR_WORDS = words("error err eror fatal ftl critical crit severe panic emerg emergency alert");
const OTHER_WORDS = words(
  "warning warn wrn notice info inf information debug dbg trace trc verbose fine finer finest config log",
);
const LEVEL_KEYS = words(
  "level severity lvl levelname level_name log_level loglevel log.level severity_text severitytext @l",
);
/** What says that there was none. */
const NOTHING = words("null none nil false undefined 0");
const MONTHS_AND_DAYS = words("jan feb mar apr may jun jul aug sep oct nov dec mon tue wed thu fri sat sun");

/** Longer beginnings are none. */
const HEAD_CHARS = 400;
const TOKENS_MAX = 20;
/** A name with its value in quotes is one. */
const TOKEN = /[^\s="]{1,60}="(?:[^"\\]|\\.){0,300}"|\S+/g;
const TIME = /\d\d?:\d\d/;
/** As syslog numbers them: error and worse are 0 to 3 of each eight. */
const PRIORITY = /^<(\d{1,3})>/;
/** RFC 5424: version, time, host, program, process, message id, structured data. */
const HEADER_5424 = /^<\d{1,3}>1 (?:\S+ ){5}(?:-|\[[^\]]*\]) ?/;

/** True for a line whose level is error or worse. */
export function isErrorLine(line: string): boolean {
  return levelOf(line) === "error";
}

function levelOf(line: string): Level | undefined {
  const text = line.trim();
  const [, priority] = PRIORITY.exec(text) ?? [];
  if (priority !== undefined && Number(priority) % 8 <= 3) return "error";
  const message = text.replace(HEADER_5424, "").replace(PRIORITY, "");
  const object = /^[^{"]{0,120}\{/.exec(message) ? levelOfJson(message.slice(message.indexOf("{"))) : undefined;
  return object ?? levelOfShape(message) ?? levelOfWords(message.slice(0, HEAD_CHARS).match(TOKEN) ?? []);
}

/** What cannot be told by words. */
const SHAPES: readonly (readonly [RegExp, Level])[] = [
  // klog and glog: a letter with month and day.
  [/^[EF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+:\d+\]/, "error"],
  // Tornado and Jupyter.
  [/^\[[EC] \d[\d-]{5,9} \d\d:\d\d/, "error"],
  [/^npm (?:ERR!|error )/, "error"],
  [/^(?:\[[^\]]{1,40}\] )?(?:PHP )?(?:fatal|parse|recoverable fatal) error: /i, "error"],
  // .NET's console.
  [/^fail: [\w.]+\[\d+\]/, "error"],
];

function levelOfShape(text: string): Level | undefined {
  return SHAPES.find(([shape]) => shape.test(text))?.[1];
}

function levelOfJson(text: string): Level | undefined {
  const fields = fieldsOf(jsonOf(text));
  // Docker's own files.
  if (typeof fields.log === "string" && "stream" in fields) return levelOf(fields.log);
  // MongoDB.
  if (typeof fields.s === "string" && "t" in fields && "c" in fields)
    return /^[EF]$/.test(fields.s) ? "error" : "other";
  const [, value] =
    Object.entries({ ...fields, ...levelIn(fields.log) }).find(([key]) => LEVEL_KEYS.has(key.toLowerCase())) ?? [];
  if (typeof value === "string") return levelNamed(value);
  if (typeof value === "number") return levelNumbered(value, "short_message" in fields);
  // One that was cut off: its level comes early.
  const [, name] =
    /"(?:level|severity|lvl|levelname|log\.level)" ?: ?"?(\w{1,12})/.exec(text.endsWith("}") ? "" : text) ?? [];
  return name === undefined ? undefined : (levelNamed(name) ?? levelNumbered(Number(name), false));
}

function levelIn(log: unknown): Record<string, unknown> {
  const { level } = fieldsOf(log);
  return level === undefined ? {} : { level };
}

/** Those of pino and bunyan, or syslog's. */
function levelNumbered(level: number, isSyslog: boolean): Level | undefined {
  if (isSyslog) return level <= 3 ? "error" : "other";
  return level >= 10 ? (level >= 50 ? "error" : "other") : undefined;
}

function levelNamed(word: string): Level | undefined {
  const name = word.toLowerCase();
  return ERROR_WORDS.has(name) ? "error" : OTHER_WORDS.has(name) ? "other" : undefined;
}

function levelOfWords(tokens: readonly string[]): Level | undefined {
  let isInBrackets = false;
  for (const [at, token] of tokens.slice(0, TOKENS_MAX).entries()) {
    const next = tokens[at + 1] ?? "";
    const isAfterTime = TIME.test(tokens[at - 1] ?? "");
    const level = levelOfPair(token) ?? levelOfToken(token, isAfterTime || next === "|");
    if (level === "error" && at + 2 === tokens.length && NOTHING.has(next.toLowerCase())) return "other";
    if (level !== undefined) return level;
    isInBrackets = /\[[^\]]*$/.test(token) || (isInBrackets && !token.includes("]"));
    if (!isInBrackets && !isBeforeMessage(token, next, isAfterTime)) return undefined;
  }
  return undefined;
}

/** `level=error` */
function levelOfPair(token: string): Level | undefined {
  const [, key = "", value = ""] = /^([\w.@]+)="?(\w+)/.exec(token) ?? [];
  return LEVEL_KEYS.has(key.toLowerCase()) ? levelNamed(value) : undefined;
}

/** Parts of a token such as `[core:error]`, `production.ERROR:`, `ERROR/MainProcess]`, `21:55:18|ERROR|App`. */
function levelOfToken(token: string, isApart: boolean): Level | undefined {
  const isMarked = isApart || /[[\]()<>|]|:$/.test(token);
  for (const part of token.split(/[[\]|]/)) {
    const [, word = ""] =
      /^[(<=*-]{0,4}(?:\w{1,40}[.:])?([A-Za-z]+)[)>:,=*!-]{0,4}$/.exec(part) ?? /^()$/.exec("") ?? [];
    const [, upper = ""] = /^([A-Z]{3,9})[/:]/.exec(part) ?? [];
    const name = word !== "" ? word : upper;
    const isWritten = isMarked || name === name.toUpperCase();
    const level = isWritten && name.length > 1 ? levelNamed(name) : undefined;
    if (level !== undefined) return level;
  }
  return undefined;
}

/** Whether a token is a time, a host, a program, a thread, a logger: words of a message are letters alone. */
function isBeforeMessage(token: string, next: string, isAfterTime: boolean): boolean {
  if (token.startsWith('"')) return false;
  if (!/^[A-Za-z]+$/.test(token)) return true;
  if (MONTHS_AND_DAYS.has(token.toLowerCase()) || /^(?:stdout|stderr|[FP])$/.test(token) || next === "|") return true;
  return isAfterTime && (/^[A-Z]{2,5}$/.test(token) || next.endsWith(":"));
}

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(" "));
}
