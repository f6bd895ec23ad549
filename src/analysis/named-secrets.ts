/** The text of a regular expression, whose backslashes stay as they are. */
const regex = String.raw;

/** A mark that was set before: it is taken as one piece, so that redacting twice changes nothing. */
const MARK = regex`\[redacted:[a-z0-9-]{1,40}\]`;
/** A value that was replaced before; of the header `Authorization` the scheme stays. */
const IS_REPLACED = new RegExp(`^(?:[A-Za-z][\\w-]{1,20}[ \\t]{1,3})?${MARK}$`);

/** A quotation mark, as it is or escaped once more by every JSON, HTML or URL it was put into; also what ends `user[password]`. */
const CLOSE = regex`(?:\\{0,4}["'\x60]|&quot;|&#3[49];|\]|%22|%5[dD]){0,2}`;
const SEPARATOR = regex`[ \t]{0,3}(?:=>|:=|[:=]|%3[dDaA])[ \t]{0,3}`;
/** What may end an unquoted value: only where a new name, a blank or the end follows, since passwords contain these too. */
const STOPS = regex`,;&)\]}"'\x60<>|`;
const PLAIN = regex`(?:${MARK}|[^\s[${STOPS}]+|\[|[${STOPS}]{1,64}(?![${STOPS}]{0,8}(?:\s|$|[\w.-]{1,40} ?=)))+`;
/** In order: an escaped quotation and what is in it, a quotation, a bare word. An open quotation ends with its line. */
const VALUE = [
  regex`(?<escaped>\\{1,4}["'])(?<inEscaped>[^"'\\\r\n]*(?:\\(?!\\{0,3}["'])[^"'\\\r\n]*)*)`,
  regex`(?<double>"|&quot;|&#34;|%22)(?<inDouble>(?:[^"\\\r\n&%]|\\.|&(?!quot;|#34;)|%(?!22))*)`,
  regex`(?<single>['\x60])(?<inSingle>[^'\x60\\\r\n]*(?:\\.[^'\x60\\\r\n]*)*)`,
  `(?<plain>${PLAIN})`,
].join("|");
/** Words that stand where a value would: they help to find the cause ("using password: YES") and give nothing away. */
const SAYS_NOTHING = regex`(?!["']?(?:yes|no|true|false|null|none|nil|undefined|empty|missing|required|expired|invalid|incorrect|wrong|unset|not|is|was|must|has|for|and|or)(?![^\s,;:.!)\]}"'&<]))`;
/** `token: signature is invalid` is a sentence; `token: 8f3a…` is not. Only for names that prose uses too. */
const IS_PROSE = regex`(?!(?<=:[ \t]{1,3})[A-Za-z]{1,15}(?:[\s,.:;!)]|$))`;
/** `PASSWORD_FILE`, `secretName`, `token_type`, `max_tokens`, `tokenizer`: about a secret, not one. */
const NOT_ABOUT = regex`(?![\w-]{0,24}(?:file|path|dir|name|length|count|type|ttl|policy|limit|expiry|expires?|expires_in|expires_at)(?![a-z]))`;
const NOT_IN_MARK = regex`(?<!\[redacted:[a-z0-9-]{0,40})`;

const PASSWORD = regex`(?:passw(?:or)?d|passphrase|passcode|(?<![A-Za-z])pwd(?![ \t]?=[ \t]?\/)|(?<![A-Za-z])pass(?=["']?[ \t]?=))`;
const PROSE_TOO = regex`(?:secret|token(?!i[sz]|s(?![a-z]))|api[_-]?key|apikey|(?:access|account|shared|private|signing|encryption|master|auth|license|storage)[_-]?key|sharedaccess(?:key|signature)|credentials?|authorization|signature|session[_-]?id|sessid|connect\.sid|jwt|(?<![A-Za-z])auth(?=["']?[ \t]?[=:]))`;

const named = (names: string, guard: string) =>
  new RegExp(
    `(?<head>(?<name>${names})${NOT_IN_MARK}${NOT_ABOUT}[\\w-]{0,24}${CLOSE}${SEPARATOR})${guard}${SAYS_NOTHING}(?:${VALUE})`,
    "gi",
  );

const PASSWORDS = named(PASSWORD, "");
const OTHERS = named(PROSE_TOO, IS_PROSE);
const COOKIES = new RegExp(
  regex`(?<head>(?<name>cookie)${NOT_IN_MARK}${CLOSE}${SEPARATOR})${SAYS_NOTHING}(?:${VALUE.replace(PLAIN, regex`[^\s;"'\x60]+(?:;[ \t]?[^\s;"'\x60]+)*`)})`,
  "gi",
);
/** `--password x`; with "=" it is a name like any other. */
const FLAGS = new RegExp(
  regex`(?<head>--?[\w-]{0,30}(?<name>passw(?:or)?d|passphrase|pass|secret|token|(?:api|access|secret|private|account)-?key)[ \t]{1,3})(?!-)${SAYS_NOTHING}(?:${VALUE})`,
  "gi",
);
/** Programs whose short option is a password in every version. `-p` alone means a port or a path elsewhere. */
const SHORT_FLAGS = [
  regex`\b(?:mysql(?:dump|admin|import|show|check|slap)?|mariadb(?:-[a-z]{1,10})?)\b[^\r\n|;&]{0,200}?[ \t]-p(?=\S)`,
  regex`\bsshpass[ \t]+-p[ \t]?`,
  regex`\bredis-cli\b[^\r\n|;&]{0,200}?[ \t]-a[ \t]+`,
  regex`\b(?:docker|podman|helm|oc|az)\b[^\r\n|;&]{0,40}?[ \t]login\b[^\r\n|;&]{0,200}?[ \t]-p[ \t]+`,
  regex`\b(?:curl|wget)\b[^\r\n|;&]{0,200}?[ \t]-u[ \t]*[^\s:"']{1,64}:`,
  regex`\b(?:ldapsearch|ldapadd|ldapmodify|ldapwhoami)\b[^\r\n|;&]{0,200}?[ \t]-w[ \t]+`,
].map((head) => new RegExp(`(?<head>(?<name>)${head})(?:${VALUE})`, "g"));
/** `IDENTIFIED BY 'x'`, `ALTER ROLE … PASSWORD 'x'`. */
const SQL = /(\b(?:identified[ \t]+by|password)[ \t]+(?:as[ \t]+)?)('[^'\r\n]*')/gi;
const XML = /(<[\w:.-]{0,30}(?:password|passwd|passphrase|secret|token|api-?key)>)([^<\s][^<\r\n]*)/gi;
/** The header's own schemes, whatever follows: a Digest or a signature goes on to the line's end. */
const AUTHORIZATION = new RegExp(
  regex`(authorization${CLOSE}${SEPARATOR}(?:\\{0,4}["'])?(?:(?:bearer|basic|token|bot|negotiate|ntlm|apikey|key|sso-key|splunk|shared(?:key|accesssignature))[ \t]+))(?!\[redacted:)[^\s"'\\,;]+|(authorization${CLOSE}${SEPARATOR}(?:\\{0,4}["'])?(?:digest|oauth|hawk|aws4-hmac-sha256|signature)[ \t]+)(?!\[redacted:)[^\r\n]+`,
  "gi",
);
/** Without the header's name the word must be followed by what no prose has: digits, signs, capitals inside, or sheer length. */
const SCHEMES =
  /(\b(?:[Bb]earer|BEARER|[Bb]asic|BASIC)[ \t]+)(?=[A-Za-z]{0,64}(?:[a-z][A-Z]|[A-Z]{2}|[0-9_+/=])|[A-Za-z]{24})[A-Za-z0-9._~+/=-]{8,}/g;

/** Replaces the values of names that say they are secret: in settings, JSON, headers, cookies, flags and SQL. */
export function redactNamedSecrets(text: string): string {
  let out = text.replace(AUTHORIZATION, (_, scheme: string | undefined, digest: string | undefined) => {
    return `${scheme ?? digest ?? ""}[redacted:authorization]`;
  });
  out = out.replace(SCHEMES, "$1[redacted:authorization]");
  for (const pattern of [COOKIES, PASSWORDS, OTHERS, FLAGS, ...SHORT_FLAGS]) out = out.replace(pattern, replaceValue);
  return out.replace(SQL, "$1'[redacted:password]'").replace(XML, "$1[redacted:secret]");
}

function replaceValue(match: string, ...rest: unknown[]): string {
  const parts = rest.at(-1) as Record<string, string | undefined>;
  const value = parts.inEscaped ?? parts.inDouble ?? parts.inSingle ?? parts.plain ?? "";
  if (value === "" || IS_REPLACED.test(value)) return match;
  const quote = parts.escaped ?? parts.double ?? parts.single ?? "";
  return `${parts.head ?? ""}${quote}[redacted:${kindOf(parts.name ?? "")}]`;
}

function kindOf(name: string): string {
  const lower = name.toLowerCase();
  if (lower === "" || lower.startsWith("pass") || lower === "pwd") return "password";
  if (lower === "cookie" || lower === "token" || lower === "authorization") return lower;
  if (lower.includes("sess") || lower.includes("sid")) return "session";
  return lower.includes("key") ? "key" : "secret";
}
