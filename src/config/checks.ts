/**
 * OPSPILOT_CHECKS: what the agent asks from its host, one check a line or with `;` between them, each a URL and then words:
 *
 *   https://shop.example.com/health 30s text="ok" slow=2s; tcp://db:5432; tls://shop.example.com 14d; dns:shop.example.com
 */
import { dnsCheck, httpCheck, tcpCheck, tlsCheck } from "./check-kinds.ts";
import type { Check } from "./check-model.ts";
import { CheckFault, type CheckWords, createCheckWords } from "./check-words.ts";

/** Each takes a connection at its time and a line in heartbeats, whose size is bounded. */
const CHECKS_MAX = 50;
const QUOTED_CHARS_MAX = 60;

const KINDS: Readonly<Record<string, (place: string, words: CheckWords) => Check>> = {
  http: httpCheck,
  https: httpCheck,
  tcp: tcpCheck,
  tls: tlsCheck,
  dns: dnsCheck,
};
const EXPECTED = "expected https://…, http://…, tcp://host:port, tls://host or dns:name first";
const INSTEAD: Readonly<Record<string, string>> = {
  icmp: "there is no ping: use tcp://host:port, which says more",
  ping: "there is no ping: use tcp://host:port, which says more",
  udp: "there are no checks over UDP but those of dns:",
};

/** The checks that are fine, and what is wrong with the others, each with the check's beginning and without a secret. */
export function parseChecks(text: string): { checks: Check[]; faults: string[] } {
  const checks: Check[] = [];
  const faults: string[] = [];
  for (const words of statementsOf(text)) {
    const check = readStatement(words);
    if (typeof check === "string") faults.push(check);
    else if (checks.some(({ name }) => name === check.name))
      faults.push(`${quoted(check.name)}: two checks are called so; give one a name=…`);
    else checks.push(check);
  }
  if (checks.length > CHECKS_MAX) faults.push(`more than ${CHECKS_MAX} checks`);
  return { checks, faults };
}

/** Where another check begins. A `;` may be part of a URL. */
const BREAK = ";(?=\\s|$|(?:https?|tcp|tls|dns|icmp|ping|udp):)";
const WORDS = new RegExp(`${BREAK}|(?:"(?:[^"\\\\]|\\\\.)*"|(?!${BREAK})[^\\s"])+|"\\S*`, "g");

function statementsOf(text: string): string[][] {
  const statements: string[][] = [[]];
  for (const line of text.split("\n").filter((one) => !/^\s*#/.test(one))) {
    for (const [word] of line.matchAll(WORDS)) {
      if (word === ";") statements.push([]);
      else statements.at(-1)?.push(word);
    }
    statements.push([]);
  }
  return statements.filter((words) => words.length > 0);
}

function readStatement([place = "", ...words]: string[]): Check | string {
  const scheme = /^([a-z]+):/i.exec(place)?.[1]?.toLowerCase() ?? "";
  try {
    const make = Object.hasOwn(KINDS, scheme) ? KINDS[scheme] : undefined;
    if (make === undefined) throw new CheckFault(INSTEAD[scheme] ?? EXPECTED);
    return make(place, createCheckWords(words));
  } catch (error) {
    if (error instanceof CheckFault) return `${quoted(harmless(place))}: ${error.message}`;
    throw error;
  }
}

/** What may be shown of a URL that may be none: nothing before an @, nothing from a ? on. */
function harmless(place: string): string {
  const beforeQuery = place.split(/[?#]/)[0] ?? "";
  const scheme = /^[a-z]+:(?:\/\/)?/i.exec(beforeQuery)?.[0] ?? "";
  return scheme + (beforeQuery.slice(scheme.length).split("@").at(-1) ?? "");
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, QUOTED_CHARS_MAX));
}
