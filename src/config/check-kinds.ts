import { isIP } from "node:net";
import { isAbsolute } from "node:path";
import { readCertificates } from "./ca.ts";
import {
  type CertificateTerms,
  DNS_TYPES,
  type DnsCheck,
  type DnsType,
  type HttpCheck,
  type TcpCheck,
  type TlsCheck,
} from "./check-model.ts";
import { CheckFault, type CheckWords, COMMON_WORDS, expiryOf, quoted, readCommonWords } from "./check-words.ts";

/** Shorter ones are no secrets, and to take them out would leave nothing to read. */
const SECRET_CHARS_MIN = 3;
const HEADERS_MAX = 10;
const HTTPS_PORT = 443;
const CERTIFICATE_WORDS = ["14d", "expires=14d", "insecure", "ca=/path"];

/** `https://user:password@host/path?query` with words. Redirects are followed, unless their status is one that is wanted. */
export function httpCheck(place: string, words: CheckWords): HttpCheck {
  const url = URL.parse(place);
  if (!url || url.hostname === "") throw new CheckFault("this is no URL");
  const isSecure = url.protocol === "https:";
  const target = `${url.protocol}//${url.host}${url.pathname === "/" ? "" : url.pathname}`;
  const common = readCommonWords(words, target);
  const headers = [...credentialsOf(url), ...words.takeAll("header").map(headerOf)];
  if (headers.length > HEADERS_MAX) throw new CheckFault(`more than ${HEADERS_MAX} headers`);
  const secrets = secretsOf(url, headers);
  url.username = "";
  url.password = "";
  url.hash = "";
  const check: HttpCheck = {
    kind: "http",
    ...common,
    ...(isSecure ? certificateOf(words) : { expiryMs: null, isInsecure: false, ca: null }),
    url: url.href,
    headers,
    secrets,
    statuses: statusesOf(words.take("status")),
    text: words.take("text") ?? null,
    unwantedText: words.take("text!") ?? null,
    proxy: proxyIn(words.take("proxy")),
  };
  const own = ["status=200-299,404", 'text="ok"', 'text!="error"', 'header="Name: value"', "proxy=http://…"];
  words.end([...COMMON_WORDS, ...own, ...(isSecure ? CERTIFICATE_WORDS : [])]);
  return check;
}

function credentialsOf({ username, password }: URL): [string, string][] {
  if (username + password === "") return [];
  const pair = `${decoded(username)}:${decoded(password)}`;
  return [["authorization", `Basic ${Buffer.from(pair).toString("base64")}`]];
}

function headerOf(text: string): [string, string] {
  const [, name, value] = /^([A-Za-z0-9-]{1,100}):\s*([\x20-\x7e]{1,4096})$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new CheckFault('header=: expected "Name: value"');
  return [name.toLowerCase(), value];
}

/** In every form in which somebody may give them back. */
function secretsOf(url: URL, headers: readonly (readonly [string, string])[]): string[] {
  const query = [...url.searchParams.values()];
  const parts = url.search.slice(1).split(/[&=]/);
  const values = headers.flatMap(([, value]) => [value, value.replace(/^\S+ /, "")]);
  const all = [url.username, decoded(url.username), url.password, decoded(url.password), ...query, ...parts, ...values];
  const names = [...url.searchParams.keys()];
  const secrets = all.filter((one) => one.length >= SECRET_CHARS_MIN && !names.includes(one));
  return [...new Set(secrets)].toSorted((one, other) => other.length - one.length);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

function statusesOf(text = "200-299"): [number, number][] {
  return text.split(",").map((part) => {
    const [, from = "", to = from] = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(part) ?? [];
    if (from === "" || Number(to) < Number(from))
      throw new CheckFault(`${quoted(`status=${text}`)}: expected statuses such as 200, 200-299 or 200-299,404`);
    return [Number(from), Number(to)];
  });
}

function proxyIn(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (/^https?:\/\//.test(text) && URL.parse(text)) return text;
  throw new CheckFault("proxy=: expected an http or https URL");
}

function certificateOf(words: CheckWords): CertificateTerms {
  return { expiryMs: expiryOf(words), isInsecure: words.has("insecure"), ca: caOf(words.take("ca")) };
}

function caOf(path: string | undefined): string | null {
  if (path === undefined) return null;
  if (!isAbsolute(path)) throw new CheckFault("ca=: expected the absolute path of a PEM file");
  const read = readCertificates(path);
  if ("fault" in read) throw new CheckFault(`ca=: ${read.fault}`);
  return read.pem;
}

/** `tcp://host:port`: a connection, and what the other side says first where that is asked for. */
export function tcpCheck(place: string, words: CheckWords): TcpCheck {
  const { host, port } = addressOf(place);
  if (port === null) throw new CheckFault("expected a port, as in tcp://host:5432");
  const common = readCommonWords(words, targetOf("tcp", host, port));
  const check: TcpCheck = { kind: "tcp", ...common, secrets: [], host, port, text: words.take("text") ?? null };
  words.end([...COMMON_WORDS, 'text="SSH-2.0"']);
  return check;
}

/** `tls://host:port`: a connection by TLS, its certificates, and for how long they are good. */
export function tlsCheck(place: string, words: CheckWords): TlsCheck {
  const { host, port } = addressOf(place);
  const common = readCommonWords(words, targetOf("tls", host, port));
  const certificate = certificateOf(words);
  const check: TlsCheck = { kind: "tls", ...common, ...certificate, secrets: [], host, port: port ?? HTTPS_PORT };
  words.end([...COMMON_WORDS, ...CERTIFICATE_WORDS]);
  return check;
}

function addressOf(place: string): { host: string; port: number | null } {
  const url = URL.parse(place);
  const isPlain = url && url.hostname !== "" && url.username + url.password + url.search + url.hash === "";
  if (!isPlain || !/^\/?$/.test(url.pathname)) throw new CheckFault("expected a host and a port, and nothing else");
  const port = url.port === "" ? null : Number(url.port);
  if (port === 0) throw new CheckFault("there is no port 0");
  return { host: decoded(url.hostname).replace(/^\[(.*)\]$/, "$1"), port };
}

function targetOf(scheme: string, host: string, port: number | null): string {
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}${port === null ? "" : `:${port}`}`;
}

const DNS_NAME =
  /^(?=.{1,253}\.?$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/;
const DNS_WORDS = ["=192.0.2.1,192.0.2.2", `type=${DNS_TYPES.join("|")}`, "server=192.0.2.53"];

/** `dns:name`: that it resolves, and to what. */
export function dnsCheck(place: string, words: CheckWords): DnsCheck {
  const host = place.replace(/^dns:(?:\/\/)?/i, "").replace(/\/$/, "");
  if (!DNS_NAME.test(host) || isIP(host) !== 0) throw new CheckFault("expected a name, as in dns:shop.example.com");
  const common = readCommonWords(words, `dns:${host.toLowerCase()}`);
  const answers = [...words.takeAll("="), ...words.takeAll("is")].flatMap((text) => text.split(","));
  const check: DnsCheck = {
    kind: "dns",
    ...common,
    secrets: [],
    host,
    type: dnsTypeOf(words.take("type")),
    server: serverOf(words.take("server")),
    answers,
  };
  words.end([...COMMON_WORDS, ...DNS_WORDS]);
  return check;
}

function dnsTypeOf(text: string | undefined): DnsType | null {
  if (text === undefined) return null;
  const type = DNS_TYPES.find((one) => one === text.toUpperCase());
  if (type === undefined) throw new CheckFault(`${quoted(`type=${text}`)}: expected one of ${DNS_TYPES.join(", ")}`);
  return type;
}

function serverOf(text: string | undefined): string | null {
  if (text === undefined) return null;
  const [, v6, v6Port, v4 = text, v4Port] =
    /^(?:\[([^\]]+)\](?::(\d{1,5}))?|([\d.]+)(?::(\d{1,5}))?)$/.exec(text) ?? [];
  const address = v6 ?? v4;
  const port = v6Port ?? v4Port ?? "53";
  if (isIP(address) === 0 || Number(port) > 65_535 || Number(port) === 0)
    throw new CheckFault(`${quoted(`server=${text}`)}: expected an address such as 192.0.2.53 or 192.0.2.53:5353`);
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
