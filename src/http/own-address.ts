import type { Config } from "../config.ts";
import { INSTALL_PATH } from "../protocol/platforms.ts";

/** What settings say of it. */
export type OwnAddress = Pick<Config, "publicUrl" | "tls">;

/**
 * Where whoever asks reaches this server, without a slash at its end: PUBLIC_URL, else what the request itself names. That Host and
 * Origin are well-formed, and name the same, was looked at before.
 */
export function ownAddress(request: Request, { publicUrl, tls }: OwnAddress): string {
  if (publicUrl !== null) return publicUrl;
  const origin = request.headers.get("origin");
  if (origin !== null) return origin;
  // A proxy that ends TLS says so. Who claims it falsely deceives nobody else.
  const isBehindTls = /^https\b/i.test(request.headers.get("x-forwarded-proto") ?? "");
  return `${tls !== null || isBehindTls ? "https" : "http"}://${new URL(request.url).host}`;
}

/** What a host is given: a token of its own, or one to enrol with. */
export type HostCredential = { readonly token: string } | { readonly enrolToken: string };

/** The one command that installs an agent on a host. */
export function installCommand(address: string, credential: HostCredential): string {
  const words = "token" in credential ? `--token ${credential.token}` : `--enrol-token ${credential.enrolToken}`;
  return `curl -fsSL ${shellQuoted(address + INSTALL_PATH)} | sudo sh -s -- ${words}`;
}

/** The text as one word of a POSIX shell. */
export function shellQuoted(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
