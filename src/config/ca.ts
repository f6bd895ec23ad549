import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { errorCode, errorMessage } from "../lib/errors.ts";

/** The certificates of a PEM file, as text; or in words why they cannot be had. */
export function readCertificates(path: string): { pem: string } | { fault: string } {
  try {
    const pem = readFileSync(path, "utf8");
    void new X509Certificate(pem);
    return { pem };
  } catch (error) {
    const code = errorCode(error);
    const isMissing = code === "ENOENT" || code === "EACCES" || code === "EISDIR";
    const reason = isMissing ? `cannot be read (${code})` : `holds no certificate in PEM form (${errorMessage(error)})`;
    return { fault: `${path} ${reason}` };
  }
}
