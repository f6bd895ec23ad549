import { redactNamedSecrets } from "./named-secrets.ts";
import { SECRET_SHAPES } from "./secret-patterns.ts";

/** A mark in the place of a secret can uncover what was glued to it; so often is looked again, while anything changes. */
const ROUNDS_MAX = 4;

/**
 * The text with a mark such as `[redacted:github-token]` in place of every secret: the one redaction for whatever leaves for
 * a third party. The rest of each line stays, so that the text keeps its use. Doing it twice changes nothing, and the time
 * it takes grows with the text's length only.
 */
export function redact(text: string): string {
  let out = text;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const next = redactOnce(out);
    if (next === out) break;
    out = next;
  }
  return out;
}

/** Private keys come first, since they may hold anything; names after shapes, since a shape says more about what was there. */
function redactOnce(text: string): string {
  return redactEmails(redactNamedSecrets(redactUrls(redactShapes(redactPrivateKeys(text)))));
}

function redactShapes(text: string): string {
  let out = text;
  for (const { mark, hints, pattern } of SECRET_SHAPES) {
    if (hints.some((hint) => out.includes(hint))) out = out.replace(pattern, (...parts) => replaceShape(parts, mark));
  }
  return out;
}

/** A pattern with a group keeps what the group holds; without one the second argument is the match's place. */
function replaceShape(parts: readonly unknown[], mark: string): string {
  return `${typeof parts[1] === "string" ? parts[1] : ""}[redacted:${mark}]`;
}

/**
 * `scheme://user:password@`. Where no port number follows the colon it is a password, up to the last "@" before a "?": people
 * write "@" and "/" into it unescaped. Else up to the last "@" before the path.
 */
const URL_PASSWORD =
  /(:\/\/[^\s:/@?#"'<>[]{0,256}:)(?:(?![0-9]{1,5}(?:[/?#\s"'<>]|$))(?:(?!:\/\/)[^\s"'<>?#]){1,300}|[^\s/"'<>]+)(?=@)/g;
/** A token instead of a user: `https://0123456789abcdef…@sentry.example`. */
const URL_TOKEN = /(:\/\/)[A-Za-z0-9_-]{20,}(?=@)/g;
const ORACLE_PASSWORD = /(jdbc:oracle:[a-z0-9]{1,8}:[^\s/@]{1,64}\/)[^\s@]{1,128}(?=@)/gi;

function redactUrls(text: string): string {
  const out = text.includes("://")
    ? text.replace(URL_PASSWORD, "$1[redacted:url-password]").replace(URL_TOKEN, "$1[redacted:url-token]")
    : text;
  return out.includes("jdbc:oracle") ? out.replace(ORACLE_PASSWORD, "$1[redacted:url-password]") : out;
}

/** What follows the "@" of an address. */
const DOMAIN =
  /(?:@|%40)(?:[A-Za-z0-9\u00a1-\uffff](?:[A-Za-z0-9\u00a1-\uffff-]{0,62})\.){1,8}(?:xn--[A-Za-z0-9-]{1,59}|[A-Za-z\u00a1-\uffff]{2,24})(?![A-Za-z0-9])/y;
/** systemd's template units look the same: `postgresql@main.service`. */
const UNIT = /\.(?:service|socket|timer|target|mount|automount|swap|device|slice|scope|path)$/i;
/** Not part of an address's first half. */
const BREAK = /[\s@<>()[\]"'`,;:=/\\|{}&?#!*]/;
/** RFC 5321: the first half has at most 64 octets. */
const LOCAL_CHARS_MAX = 64;

/** Replaces e-mail addresses, also where a URL escapes the "@". Users in front of hosts in URLs stay: they say what was asked. */
function redactEmails(text: string): string {
  let out = "";
  let done = 0;
  for (const match of text.matchAll(/@|%40/g)) {
    const at = match.index;
    if (at < done) continue;
    DOMAIN.lastIndex = at;
    const domain = DOMAIN.exec(text)?.[0];
    if (domain === undefined || UNIT.test(domain)) continue;
    const start = localStart(text, at, done);
    const local = text.slice(start, at);
    if (local === "" || local === "git" || text.slice(Math.max(done, start - 2), start) === "//") continue;
    out += `${text.slice(done, start)}[redacted:email]`;
    done = at + domain.length;
  }
  return out + text.slice(done);
}

function localStart(text: string, at: number, floor: number): number {
  let start = at;
  const limit = Math.max(floor, at - LOCAL_CHARS_MAX);
  while (start > limit && !BREAK.test(text.charAt(start - 1))) start--;
  return start;
}

const MARK = "[redacted:private-key]";
/** An armoured private key of any kind (RSA, EC, OPENSSH, PGP, ENCRYPTED …); its lines' ends may be escaped (`\n`). */
const EDGE = /-----(BEGIN|END) (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----/g;
/** The longest real key (RSA, 16,384 bits) has 13 KB; with a log's prefix on each line it may be some times that. */
const KEY_CHARS_MAX = 64 * 1024;
/** What follows the edge in its own line, where the line's ends are escaped. */
const REST_OF_LINE = /(?:[A-Za-z0-9+/=]|\\{1,4}[nr]){0,65536}/y;
/** The same in front of the END. */
const START_OF_LINE = /(?:[A-Za-z0-9+/=]|\\{1,4}[nr]){1,65536}$/;
/** A line of a key: base64 at its end, whatever the log wrote in front of it. Also the armour's own headers and empty lines. */
const KEY_LINE =
  /(?:^|[^A-Za-z0-9+/=])(?:[A-Za-z0-9+/]{24,}={0,2}|[A-Za-z0-9+/]{2,22}={1,2})\s*$|(?:Proc-Type|DEK-Info|Version|Comment): |^\s*$/;
/** The longest line that can be one of a key. */
const KEY_LINE_CHARS_MAX = 500;

interface Span {
  start: number;
  end: number;
}

/** Replaces private keys; of one that was cut off, before or after, what is left of it. */
function redactPrivateKeys(text: string): string {
  if (!text.includes("PRIVATE KEY")) return redactPutty(text);
  let out = "";
  let done = 0;
  for (const { start, end } of keySpans(text)) {
    if (end <= done) continue;
    out += text.slice(done, Math.max(start, done)) + MARK;
    done = end;
  }
  return redactPutty(out + text.slice(done));
}

function keySpans(text: string): Span[] {
  const spans: Span[] = [];
  let begin: Span | undefined;
  for (const match of text.matchAll(EDGE)) {
    const edge = { start: match.index, end: match.index + match[0].length };
    const isEnd = match[1] === "END";
    if (isEnd && begin !== undefined && edge.end - begin.start <= KEY_CHARS_MAX) {
      spans.push({ start: begin.start, end: edge.end });
      begin = undefined;
      continue;
    }
    if (begin !== undefined) spans.push(withoutEnd(text, begin));
    begin = isEnd ? undefined : edge;
    if (isEnd) spans.push(withoutBegin(text, edge, spans.at(-1)?.end ?? 0));
  }
  if (begin !== undefined) spans.push(withoutEnd(text, begin));
  return spans;
}

function withoutEnd(text: string, { start, end }: Span): Span {
  REST_OF_LINE.lastIndex = end;
  let at = end + (REST_OF_LINE.exec(text)?.[0].length ?? 0);
  const limit = Math.min(text.length, end + KEY_CHARS_MAX);
  for (let newline = text.indexOf("\n", at); newline >= 0 && newline < limit; newline = text.indexOf("\n", at)) {
    if (at > end && text.slice(at, newline).trim() !== "") break;
    const next = text.indexOf("\n", newline + 1);
    const lineEnd = next < 0 ? text.length : next;
    if (!isKeyLine(text.slice(newline + 1, Math.min(lineEnd, newline + 2 + KEY_LINE_CHARS_MAX)))) break;
    at = lineEnd;
    if (next < 0) break;
  }
  return { start, end: at };
}

function withoutBegin(text: string, { start, end }: Span, floor: number): Span {
  const lineStart = Math.max(floor, text.lastIndexOf("\n", start) + 1, start - KEY_CHARS_MAX);
  const glued = START_OF_LINE.exec(text.slice(lineStart, start))?.[0].length ?? 0;
  let at = start - glued;
  let newline = lineStart - 1;
  while (newline >= floor && text[newline] === "\n" && start - newline < KEY_CHARS_MAX) {
    // Before the first character lastIndexOf would look at the first again.
    const from = newline === 0 ? 0 : Math.max(floor, text.lastIndexOf("\n", newline - 1) + 1);
    if (newline - from > KEY_LINE_CHARS_MAX || !isKeyLine(text.slice(from, newline))) break;
    at = from;
    newline = from - 1;
  }
  return { start: at, end };
}

const isKeyLine = (line: string) => line.length <= KEY_LINE_CHARS_MAX && KEY_LINE.test(line);

/** PuTTY writes its keys in a form of its own. */
function redactPutty(text: string): string {
  if (!text.includes("Private-Lines:")) return text;
  return text.replace(
    /(Private-Lines: ?\d{1,4}\r?\n)[A-Za-z0-9+/=]+(?:\r?\n[A-Za-z0-9+/=]+)*(?![^\r\n])/g,
    `$1${MARK}`,
  );
}
