import { createAddressSet, plainAddress } from "./addresses.ts";

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
