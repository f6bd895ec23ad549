import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { codeOf } from "./env-file.ts";
import type { Mistakes } from "./mistakes.ts";
import type { RawSettings } from "./settings.ts";

/** The contents of TLS_CERT and TLS_KEY, which go together; null when neither is set. */
export function readTls(raw: RawSettings, cwd: string, mistakes: Mistakes): { cert: string; key: string } | null {
  const { TLS_CERT, TLS_KEY } = raw;
  if (TLS_CERT === undefined && TLS_KEY === undefined) return null;
  if (TLS_CERT === undefined) mistakes.add("TLS_CERT", "is needed by TLS_KEY");
  if (TLS_KEY === undefined) mistakes.add("TLS_KEY", "is needed by TLS_CERT");
  const cert = TLS_CERT && readPem("TLS_CERT", resolve(cwd, TLS_CERT), mistakes);
  const key = TLS_KEY && readPem("TLS_KEY", resolve(cwd, TLS_KEY), mistakes);
  if (!cert || !key) return null;
  const flaw = flawOf(cert, key);
  if (flaw !== undefined) mistakes.add(flaw.setting, flaw.message);
  return { cert, key };
}

function readPem(setting: string, path: string, mistakes: Mistakes): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    return mistakes.add(setting, `${path} cannot be read (${codeOf(error)})`);
  }
}

function flawOf(cert: string, key: string): { setting: string; message: string } | undefined {
  const certificate = parsed(() => new X509Certificate(cert));
  if (!certificate) return { setting: "TLS_CERT", message: "the file holds no certificate in PEM form" };
  const privateKey = parsed(() => createPrivateKey(key));
  if (!privateKey)
    return { setting: "TLS_KEY", message: "the file holds no private key in PEM form without a passphrase" };
  if (certificate.checkPrivateKey(privateKey)) return undefined;
  return { setting: "TLS_KEY", message: "is not the key of the certificate in TLS_CERT" };
}

/** The parsers say in many ways that a text is none of theirs; which of them does not help. */
function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
