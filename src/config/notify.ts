import { isMetadataHost } from "../lib/addresses.ts";
import { ROUTING_PARAMS, type Routing, readRouting } from "./routing.ts";

/** An outlet's URL, taken apart. Nothing of it may reach a log but `name` and `scheme`. */
export interface OutletUrl {
  /** As announcements and ESCALATE name it: `?name=`, else its scheme. */
  name: string;
  /** In small letters. */
  scheme: string;
  user: string;
  password: string;
  /** As it was written: hosted services have a key in its place. */
  host: string;
  port: number | null;
  segments: string[];
  /** The outlet's own: neither a name nor routing. */
  params: URLSearchParams;
}

/** An outlet of NOTIFY, and what it takes. */
export interface NotifyEntry {
  readonly url: OutletUrl;
  readonly routing: Routing;
}

/** Before each URL but the first: hours of routing have blanks and commas, too. */
const BETWEEN = /[\s,]+(?=[a-z][a-z0-9+.-]*:\/\/)/i;
const URL_FORM =
  /^([a-z][a-z0-9+.-]*):\/\/(?:([^@/?#]*)@)?(\[[^\]]*\]|[^:/?#\s]*)(?::(\d{1,5}))?(\/[^?#\s]*)?(?:\?([^#]*))?$/i;
const NAME = /^[a-z0-9][a-z0-9-]{0,19}$/;

/**
 * Takes NOTIFY apart: outlets' URLs with blanks, new lines or commas between them, of the form that Shoutrrr and Apprise have. `taken` are
 * names of outlets that other settings set up. A mistake names an outlet by its place, and nothing of its URL, which is a secret.
 */
export function readNotify(
  text: string,
  taken: readonly string[],
): { entries: readonly NotifyEntry[]; mistakes: readonly string[] } {
  const entries: NotifyEntry[] = [];
  const mistakes: string[] = [];
  const names = new Set(taken);
  for (const [at, one] of text.trim().split(BETWEEN).entries()) {
    const read = entryOf(one);
    const wrong = "entry" in read ? nameFaults(read.entry.url.name, names) : [];
    if ("entry" in read) {
      entries.push(read.entry);
      names.add(read.entry.url.name);
    }
    mistakes.push(...[...read.faults, ...wrong].map((fault) => `outlet ${at + 1}: ${fault}`));
  }
  return { entries, mistakes };
}

function nameFaults(name: string, names: ReadonlySet<string>): string[] {
  if (!NAME.test(name)) return ["name: expected 1 to 20 small letters, digits and -"];
  return names.has(name) ? [`there is another outlet named ${name}: give it one by ?name=`] : [];
}

function entryOf(text: string): { entry: NotifyEntry; faults: readonly string[] } | { faults: readonly string[] } {
  const [, scheme = "", userInfo = "", host = "", port, path = "", query = ""] = URL_FORM.exec(text) ?? [];
  if (scheme === "") return { faults: ["expected a URL such as ntfy://host/topic"] };
  if (isMetadataHost(URL.parse(`http://${host}/`)?.hostname ?? host)) {
    return { faults: ["is a link-local address, where clouds keep the credentials of their machines"] };
  }
  if (port !== undefined && Number(port) > 65_535) return { faults: ["the port is none"] };
  const params = new URLSearchParams(query);
  const { routing, mistakes } = readRouting(params);
  const name = params.get("name") ?? scheme.toLowerCase();
  for (const one of ["name", ...ROUTING_PARAMS]) params.delete(one);
  const colon = userInfo.indexOf(":");
  const decoded = decodeAll([
    colon < 0 ? userInfo : userInfo.slice(0, colon),
    colon < 0 ? "" : userInfo.slice(colon + 1),
    ...path.split("/").filter((one) => one !== ""),
  ]);
  if (decoded === undefined) return { faults: ["a % is not followed by two hexadecimal digits (write %25 for it)"] };
  const [user = "", password = "", ...segments] = decoded;
  const url = { name, scheme: scheme.toLowerCase(), user, password, host, segments, params };
  return { entry: { url: { ...url, port: port === undefined ? null : Number(port) }, routing }, faults: mistakes };
}

function decodeAll(texts: readonly string[]): string[] | undefined {
  try {
    return texts.map(decodeURIComponent);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
