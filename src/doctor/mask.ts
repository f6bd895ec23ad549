import { redact } from "../analysis/redact.ts";
import { parsed } from "../config/sources.ts";

/** Shorter ones are words of every day. */
const SECRET_CHARS_MIN = 4;
const NAME_CHARS_MIN = 2;
/** Names of this machine that every machine has. */
const EVERYWHERE = new Set(["localhost", "127.0.0.1", "0.0.0.0", "::1", "::"]);
const WORD = /[\p{L}\p{N}_](?:[\p{L}\p{N}_.-]*[\p{L}\p{N}_])?/gu;
const IPV4 = /(?<![\d.])(?!127\.|0\.0\.0\.0)(?:\d{1,3}\.){3}\d{1,3}(?![\d.])/g;
const IPV6 = /(?<![\w:.])(?=[\da-f:]*::|(?:[\da-f]{1,4}:){7})[\da-f]{1,4}(?::[\da-f]{0,4}){2,7}(?![\w:])/gi;

/**
 * Makes texts fit to be given away: known secrets, in each form in which they may be written, and whatever looks like one, are marked;
 * and, unless `names` is null, the names of hosts and their addresses, each by a word of its own, so that one can be told from another.
 */
export function createMask({ secrets, names }: { secrets: readonly string[]; names: readonly string[] | null }) {
  const known = [...new Set(secrets.flatMap(formsOf))].toSorted((a, b) => b.length - a.length);
  const aliases = new Map<string, string>();
  for (const name of names ?? []) {
    const key = name.toLowerCase();
    if (key.length < NAME_CHARS_MIN || EVERYWHERE.has(key)) continue;
    if (!aliases.has(key)) aliases.set(key, `host-${aliases.size + 1}`);
  }

  const nameless = (text: string) =>
    text
      .replace(WORD, (word) => aliases.get(word.toLowerCase()) ?? word)
      .replace(IPV4, "[address]")
      .replace(IPV6, "[address]");

  return (text: string): string => {
    const open = redact(known.reduce((rest, secret) => rest.replaceAll(secret, "[redacted:setting]"), text));
    return names === null ? open : nameless(open);
  };
}

/** A secret as it is, in JSON and in a URL; of a URL the password, and its path and query, which may be one. */
function formsOf(secret: string): string[] {
  const url = parsed(() => new URL(secret.replace(DATABASE_HOSTS, "$1localhost"))) ?? null;
  const parts = url ? [url.password, decoded(url.password), url.pathname.slice(1), url.search.slice(1)] : [];
  return [secret, ...(url ? parts.slice(0, 2) : []), ...(url && !isDatabase(url) ? parts.slice(2) : [])]
    .flatMap((one) => [one, encodeURIComponent(one), JSON.stringify(one).slice(1, -1)])
    .filter((one) => one.length >= SECRET_CHARS_MIN);
}

/** What stands in a setting may be no right one. */
function decoded(text: string): string {
  return parsed(() => decodeURIComponent(text)) ?? text;
}

/** The hosts of a database's URL, of which there may be several, which no other URL has. */
export const DATABASE_HOSTS = /^(postgres(?:ql)?:\/\/(?:[^/?#]*@)?)([^@/?#]*)/;

/** The path of its URL is its name, which is none. */
function isDatabase({ protocol }: URL): boolean {
  return protocol.startsWith("postgres");
}
