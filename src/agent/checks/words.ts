import { errorCode, errorMessage } from "../../lib/errors.ts";

/** What the system says of a connection, as a person would say it; its own word stays beside it. */
const MEANINGS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ConnectionRefused: "connection refused",
  ECONNRESET: "connection reset by peer",
  ConnectionClosed: "the connection was closed before the answer",
  EPIPE: "the connection was closed by the other side",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  EADDRNOTAVAIL: "no address of this host leads there",
  EACCES: "this host's firewall forbids it",
  EPERM: "this host's firewall forbids it",
  ENOTFOUND: "name not found in the DNS",
  ENODATA: "the name has no such record in the DNS",
  ENONAME: "name not found in the DNS",
  EAI_AGAIN: "the name cannot be resolved now, no DNS server answers",
  ETIMEOUT: "no DNS server answers",
  ESERVFAIL: "the DNS server failed (SERVFAIL)",
  EREFUSED: "the DNS server refuses to answer (REFUSED)",
  EMFILE: "too many open files on this host",
  UNABLE_TO_GET_ISSUER_CERT: "the certificate's issuer is unknown",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the certificate's issuer is unknown",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the certificate's issuer is unknown",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "the chain's last certificate is self-signed and not trusted here",
  CERT_HAS_EXPIRED: "certificate has expired",
  CERT_NOT_YET_VALID: "certificate is not yet valid",
  ERR_TLS_CERT_ALTNAME_INVALID: "the certificate is not for this name",
};

/** What went wrong on the way, in words; the system's own word in brackets. */
export function faultText(error: unknown): string {
  const code = errorCode(error, "");
  const meaning = MEANINGS[code];
  if (meaning !== undefined) return `${meaning} (${code})`;
  // Bun's texts may hold the URL, and what they say after it helps nobody here.
  const text = errorMessage(error).replace(/ fetching ".*$/s, "");
  return code === "" || text.includes(code) ? text : `${text} (${code})`;
}
