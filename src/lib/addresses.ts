import { BlockList, isIP } from "node:net";

/** The address as it is compared: without the IPv4-in-IPv6 form that dual-stack sockets show, and without a zone. */
function plainAddress(address: string): string {
  const plain = address.toLowerCase().replace(/%.*$/, "");
  const [, dotted, high, low] = MAPPED.exec(plain) ?? [];
  if (dotted !== undefined) return dotted;
  if (high === undefined || low === undefined) return plain;
  return [high, low].flatMap((half) => [Number.parseInt(half, 16) >> 8, Number.parseInt(half, 16) & 255]).join(".");
}

/** An IPv4 address within IPv6, as sockets show it, and as URLs write it. */
const MAPPED = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/;

/** Whether the text is 127.0.0.0/8 or ::1. */
function isLoopbackAddress(address: string): boolean {
  const plain = plainAddress(address);
  return isIP(plain) === 4 ? plain.startsWith("127.") : plain === "::1";
}

/** Whether a host of a URL or a Host header ("localhost", "127.0.0.1", "[::1]", without its port) is this machine alone. */
export function isLoopbackHost(host: string): boolean {
  return host.toLowerCase() === "localhost" || isLoopbackAddress(host.replace(/^\[(.*)\]$/, "$1"));
}

/** Beside the link-local networks: what AWS answers by on IPv6, and the name that Google's and others' go by. */
const METADATA_ADDRESSES = ["169.254.0.0/16", "fe80::/10", "fd00:ec2::/32"];
const METADATA_NAMES = ["metadata.google.internal", "metadata.goog", "metadata"];

/**
 * Whether a URL's host is where clouds answer for the machine itself, with its credentials: a link-local address, in whatever form
 * it is written, or the usual name. A name that somebody's DNS makes into such an address is not known for one.
 */
export function isMetadataHost(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  return METADATA_NAMES.includes(name) || createAddressSet(METADATA_ADDRESSES).has(name.replace(/^\[(.*)\]$/, "$1"));
}

/** Whether the text is an address, or a range such as 10.0.0.0/8. */
export function isAddressOrRange(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}

/** The set of these addresses and ranges, each of which `isAddressOrRange`. */
export function createAddressSet(entries: readonly string[]) {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = "", prefix] = entry.split("/");
    if (prefix === undefined) list.addAddress(address, familyOf(address));
    else list.addSubnet(address, Number(prefix), familyOf(address));
  }
  return {
    has(address: string): boolean {
      const plain = plainAddress(address);
      return isIP(plain) !== 0 && list.check(plain, familyOf(plain));
    },
  };
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}

/** What is used of Bun's server: who is at the other end of the socket. */
export interface PeerLookup {
  requestIP(request: Request): { address: string } | null;
}

/** Where a request comes from: the peer, or, behind trusted proxies, the last address that none of them has. */
export type ClientAddress = (request: Request, server: PeerLookup | null) => string;

/** Who did something, as the audit trail has it: `api:127.0.0.1`. */
export type ActorOf = (request: Request, server: PeerLookup | null) => string;

/** Without a socket, as in a call within the process. */
const NO_SOCKET = "local";

/** `trustedProxies`: addresses and ranges whose X-Forwarded-For is believed. */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const trusted = createAddressSet(trustedProxies);
  return (request, server) => {
    const peer = plainAddress(server?.requestIP(request)?.address ?? NO_SOCKET);
    if (!trusted.has(peer)) return peer;
    const hops = (request.headers.get("x-forwarded-for") ?? "").split(",").map((hop) => plainAddress(hop.trim()));
    return hops.reverse().find((hop) => hop !== "" && !trusted.has(hop)) ?? peer;
  };
}
