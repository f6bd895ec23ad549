interface CheckOfAnyKind {
  /** What people call it: unique, without a secret. */
  readonly name: string;
  /** What is asked, for a person: the URL without user, password and query. */
  readonly target: string;
  /** Texts that must not be told: they are taken out of whatever is said. */
  readonly secrets: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** What takes longer is slow; null: nothing is. */
  readonly slowMs: number | null;
  /** So many failures in a row are told. */
  readonly failures: number;
  readonly severity: "warning" | "critical";
}

/** How a certificate is looked at. */
export interface CertificateTerms {
  /** A certificate that ends sooner is told; null: none is. */
  readonly expiryMs: number | null;
  /** Who signed it, for whom and until when does not matter. */
  readonly isInsecure: boolean;
  /** Authorities in PEM that are trusted instead of the usual ones, or null. */
  readonly ca: string | null;
}

/** A URL that must answer. */
export interface HttpCheck extends CheckOfAnyKind, CertificateTerms {
  readonly kind: "http";
  /** Without user and password. */
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** From, to. */
  readonly statuses: readonly (readonly [number, number])[];
  readonly text: string | null;
  readonly unwantedText: string | null;
  readonly proxy: string | null;
}

/** A port that must take a connection. */
export interface TcpCheck extends CheckOfAnyKind {
  readonly kind: "tcp";
  readonly host: string;
  readonly port: number;
  /** What the other side says first, or null. */
  readonly text: string | null;
}

/** A port that must speak TLS. */
export interface TlsCheck extends CheckOfAnyKind, CertificateTerms {
  readonly kind: "tls";
  readonly host: string;
  readonly port: number;
}

/** What of the DNS can be asked for. */
export const DNS_TYPES = ["A", "AAAA", "CNAME", "MX", "NS", "TXT"] as const;
export type DnsType = (typeof DNS_TYPES)[number];

/** A name that must resolve. */
export interface DnsCheck extends CheckOfAnyKind {
  readonly kind: "dns";
  readonly host: string;
  /** Null with no server: its addresses as programs of this host see them. */
  readonly type: DnsType | null;
  /** Address and port, or null: those of the host. */
  readonly server: string | null;
  /** No other answer is right; empty: any is. */
  readonly answers: readonly string[];
}

export type Check = HttpCheck | TcpCheck | TlsCheck | DnsCheck;
