import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { errorCode } from "../lib/errors.ts";
import { Mistakes, type RawSettings } from "./settings.ts";
import { parsed } from "./sources.ts";

/** A certificate and its key, PEM. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

/** The same, with the files that it was read from, to be looked at again. */
export interface TlsSettings extends TlsPair {
  readonly files: TlsPair;
}

/** What TLS_CERT and TLS_KEY name, which go together; null when neither is set. */
export function readTls({ TLS_CERT, TLS_KEY }: RawSettings, cwd: string, mistakes: Mistakes): TlsSettings | null {
  if (TLS_CERT === undefined && TLS_KEY === undefined) return null;
  mistakes.need("TLS_CERT", TLS_CERT, "is needed by TLS_KEY");
  mistakes.need("TLS_KEY", TLS_KEY, "is needed by TLS_CERT");
  const files = { cert: TLS_CERT && resolve(cwd, TLS_CERT), key: TLS_KEY && resolve(cwd, TLS_KEY) };
  const cert = files.cert && readPem("TLS_CERT", files.cert, mistakes);
  const key = files.key && readPem("TLS_KEY", files.key, mistakes);
  if (!cert || !key || !files.cert || !files.key) return null;
  checkPair(cert, key, mistakes);
  return { cert, key, files: { cert: files.cert, key: files.key } };
}

/** Looks at the files again. Throws a ConfigError that says why what is there now cannot be used. */
export function readTlsAgain({ files }: TlsSettings): TlsPair {
  const mistakes = new Mistakes();
  const pair = readTls({ TLS_CERT: files.cert, TLS_KEY: files.key }, "/", mistakes);
  mistakes.throwIfAny();
  return { cert: pair?.cert ?? "", key: pair?.key ?? "" };
}

/** When the certificate ends (Unix milliseconds). Of a chain, the first counts: the server's own. */
export function endOf({ cert }: TlsPair): number {
  return Date.parse(new X509Certificate(cert).validTo);
}

function readPem(setting: string, path: string, mistakes: Mistakes): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    return mistakes.add(setting, `${path} cannot be read (${errorCode(error)})`);
  }
}

function checkPair(cert: string, key: string, mistakes: Mistakes): undefined {
  const certificate = parsed(() => new X509Certificate(cert));
  if (!certificate) return mistakes.add("TLS_CERT", "the file holds no certificate in PEM form");
  const privateKey = parsed(() => createPrivateKey(key));
  if (!privateKey) mistakes.add("TLS_KEY", "the file holds no private key in PEM form without a passphrase");
  else if (!certificate.checkPrivateKey(privateKey))
    mistakes.add("TLS_KEY", "is not the key of the certificate in TLS_CERT");
}
