import { BlockList, isIP } from "node:net";

/** Some addresses, given singly or as CIDR ranges. */
export interface AddressSet {
  has(address: string): boolean;
}

/** The address as it is compared: without the IPv4-in-IPv6 form that dual-stack sockets show, and without a zone. */
export function plainAddress(address: string): string {
  const plain = address.toLowerCase().replace(/%.*$/, "");
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1] ?? plain;
}

/** Whether the text is 127.0.0.0/8 or ::1. */
export function isLoopbackAddress(address: string): boolean {
  const plain = plainAddress(address);
  return isIP(plain) === 4 ? plain.startsWith("127.") : plain === "::1";
}

/** Whether a host of a URL or a Host header ("localhost", "127.0.0.1", "[::1]", without its port) is this machine alone. */
export function isLoopbackHost(host: string): boolean {
  return host.toLowerCase() === "localhost" || isLoopbackAddress(host.replace(/^\[(.*)\]$/, "$1"));
}

/** Whether the text is an address, or a range such as 10.0.0.0/8. */
export function isAddressOrRange(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}

/** The set of these addresses and ranges, each of which `isAddressOrRange`. */
export function createAddressSet(entries: readonly string[]): AddressSet {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = "", prefix] = entry.split("/");
    if (prefix === undefined) list.addAddress(address, familyOf(address));
    else list.addSubnet(address, Number(prefix), familyOf(address));
  }
  return {
    has(address) {
      const plain = plainAddress(address);
      return isIP(plain) !== 0 && list.check(plain, familyOf(plain));
    },
  };
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}
