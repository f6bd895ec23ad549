import { redactEmails } from "./emails.ts";
import { redactNamedSecrets } from "./named-secrets.ts";
import { redactPrivateKeys } from "./private-keys.ts";
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
