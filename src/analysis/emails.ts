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
export function redactEmails(text: string): string {
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
