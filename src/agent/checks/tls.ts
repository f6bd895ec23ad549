import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { checkServerIdentity, connect, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import type { CertificateTerms, TlsCheck } from "../../config/check-model.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Attempt, Finding, FirstToEnd } from "./model.ts";
import { faultText } from "./words.ts";

/** A chain that is longer is none. */
const CHAIN_MAX = 10;
/** Shorter ones are refused by browsers. */
const RSA_BITS_MIN = 2048;

type Address = Pick<TlsCheck, "host" | "port">;

/** Shakes hands, whatever the certificates are like, and says what they are like. */
export function probeTls(check: Address & CertificateTerms, { signal, clock, waitsFor }: Attempt): Promise<Finding> {
  const { host, port, ca } = check;
  waitsFor("no connection by TLS");
  return new Promise((resolve) => {
    const options = { host, port, servername: isIP(host) === 0 ? host : "", rejectUnauthorized: false, signal };
    const socket = connect({ ...options, ...(ca === null ? {} : { ca }) });
    const finish = (finding: Finding) => {
      socket.destroy();
      resolve(finding);
    };
    socket.once("secureConnect", () => finish(judge(socket, check, clock.now())));
    socket.once("error", (error) => finish({ isWell: false, text: faultText(error) }));
    socket.once("close", () => finish({ isWell: false, text: "the connection was closed before TLS began" }));
  });
}

function judge(socket: TLSSocket, { host, isInsecure }: Address & CertificateTerms, nowMs: number): Finding {
  const chain = chainOf(socket.getPeerCertificate(true));
  const version = `${socket.getProtocol() ?? "TLS"}`;
  const [own] = chain;
  if (own === undefined) return { isWell: isInsecure, text: `${version}, without a certificate` };
  const certificate = firstToEnd(chain);
  const fault = isInsecure ? undefined : faultOf(chain, { host, socket, nowMs });
  return fault === undefined
    ? { isWell: true, text: `${version}, certificate of ${nameOf(own)}`, certificate }
    : { isWell: false, text: fault, details: chainText(chain), certificate };
}

/** The server's own first, each signed by the next. */
function chainOf(own: DetailedPeerCertificate | undefined): DetailedPeerCertificate[] {
  const chain: DetailedPeerCertificate[] = [];
  const seen = new Set<string>();
  let next: DetailedPeerCertificate | undefined = own;
  while (next?.fingerprint256 !== undefined && !seen.has(next.fingerprint256) && chain.length < CHAIN_MAX) {
    seen.add(next.fingerprint256);
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

function firstToEnd(chain: readonly DetailedPeerCertificate[]): FirstToEnd {
  const ends = chain.map((one, at) => ({ subject: nameOf(one), isOwn: at === 0, endMs: Date.parse(one.valid_to) }));
  return ends.reduce((first, one) => (one.endMs < first.endMs ? one : first));
}

/** What a client that is careful would refuse, the certificate named that is to blame. */
function faultOf(
  chain: readonly DetailedPeerCertificate[],
  { host, socket, nowMs }: { host: string; socket: TLSSocket; nowMs: number },
): string | undefined {
  const [own] = chain;
  if (own === undefined) return undefined;
  const isTrusted = socket.authorized;
  // A chain may hold an old certificate that another one stands in for.
  const inDoubt = isTrusted ? [own] : chain;
  const expired = inDoubt.find(({ valid_to }) => Date.parse(valid_to) < nowMs);
  if (expired) return `certificate has expired: that of ${nameOf(expired)} was good until ${dayOf(expired.valid_to)}`;
  const early = inDoubt.find(({ valid_from }) => Date.parse(valid_from) > nowMs);
  if (early) return `certificate is not yet valid: that of ${nameOf(early)} begins on ${dayOf(early.valid_from)}`;
  const mismatch = checkServerIdentity(host, own);
  if (mismatch) return `the certificate is not for ${host}: it is for ${namesOf(own)} (ERR_TLS_CERT_ALTNAME_INVALID)`;
  if (!isTrusted) return trustFault(chain, socket.authorizationError);
  const weak = chain.find((one, at) => weaknessOf(one, at === chain.length - 1) !== undefined);
  return weak && `the certificate of ${nameOf(weak)} is weak: ${weaknessOf(weak, false)}`;
}

function trustFault(chain: readonly DetailedPeerCertificate[], error: unknown): string {
  const code = typeof error === "string" ? error : errorMessage(error ?? "not trusted");
  const last = chain.at(-1);
  if (last === undefined) return code;
  const isSelfSigned = issuerOf(last) === nameOf(last);
  if (isSelfSigned && chain.length === 1) return `the certificate of ${nameOf(last)} is self-signed (${code})`;
  if (isSelfSigned) return `the authority ${nameOf(last)} is not trusted on this host (${code})`;
  return `the certificate of ${nameOf(last)} is signed by ${issuerOf(last)}, which is unknown on this host and not sent along: unable to verify it (${code})`;
}

/** Nobody looks at the signature of a root, which is trusted as it is. */
function weaknessOf({ modulus, bits, raw }: DetailedPeerCertificate, isLast: boolean): string | undefined {
  if (modulus !== undefined && bits !== undefined && bits < RSA_BITS_MIN) return `its RSA key has ${bits} bits`;
  const algorithm = isLast ? "" : (new X509Certificate(raw).signatureAlgorithm ?? "");
  return /sha1|md5/i.test(algorithm) ? `it is signed with ${algorithm}` : undefined;
}

function chainText(chain: readonly DetailedPeerCertificate[]): string {
  return chain
    .map((one) => `certificate of ${nameOf(one)}, good until ${dayOf(one.valid_to)}, signed by ${issuerOf(one)}`)
    .join("\n");
}

function nameOf({ subject, subjectaltname }: DetailedPeerCertificate): string {
  return (
    firstOf(subject?.CN) ?? firstOf(subject?.O) ?? subjectaltname?.split(", ")[0]?.replace(/^DNS:/, "") ?? "nobody"
  );
}

function issuerOf({ issuer }: DetailedPeerCertificate): string {
  return firstOf(issuer?.CN) ?? firstOf(issuer?.O) ?? "nobody";
}

function namesOf(own: DetailedPeerCertificate): string {
  const names = own.subjectaltname?.replaceAll(/DNS:|IP Address:/g, "").split(", ") ?? [nameOf(own)];
  return names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
}

function firstOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function dayOf(text: string): string {
  return new Date(text).toISOString().slice(0, 10);
}
