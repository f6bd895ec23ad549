/** 256 random bits. */
const SECRET_BYTES = 32;
/** Of agents: a server makes them, or an agent for itself. */
export const AGENT_TOKEN_PREFIX = "opa_";
const SECRET = /^[A-Za-z0-9_-]{43}$/;

/** A secret that nobody guesses; its prefix lets people and secret scanners tell what it is. */
export function newSecretToken(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  return prefix + bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Whether the text can be such a secret: what is none need not be looked for. */
export function isSecretToken(text: string, prefix: string): boolean {
  return text.startsWith(prefix) && SECRET.test(text.slice(prefix.length));
}
