import type { Config } from "../config.ts";

/** The cookie of a browser that is signed in. */
export const SESSION_COOKIE = "opspilot_session";
/** The cookie of a browser that is about to sign in at a provider; it goes nowhere but where that begins and ends. */
const SIGN_IN_COOKIE = "opspilot_oidc";

/** Where that browser wanted to go, where the way is too long for the provider; as narrow. */
const LONG_PATH_COOKIE = "opspilot_oidc_path";

/** Values are 256 random bits. */
const cookieValue = (name: string) => new RegExp(`(?:^|;)\\s*${name}=([A-Za-z0-9_-]{43})\\s*(?:;|$)`);
const SESSION_VALUE = cookieValue(SESSION_COOKIE);
const SIGN_IN_VALUE = cookieValue(SIGN_IN_COOKIE);
const LONG_PATH_VALUE = new RegExp(`(?:^|;)\\s*${LONG_PATH_COOKIE}=([A-Za-z0-9_-]{1,4000})\\s*(?:;|$)`);

/** The secret of the request's session, if it has a cookie that can be one. */
export function secretOf(headers: Headers): string | undefined {
  return SESSION_VALUE.exec(headers.get("cookie") ?? "")?.[1];
}

/** What the browser keeps of a sign-in that it began. */
export function signInSecretOf(headers: Headers): string | undefined {
  return SIGN_IN_VALUE.exec(headers.get("cookie") ?? "")?.[1];
}

/** Where the browser that began a sign-in wanted to go, if that is long. */
export function longPathOf(headers: Headers): string | undefined {
  const value = LONG_PATH_VALUE.exec(headers.get("cookie") ?? "")?.[1];
  return value === undefined ? undefined : Buffer.from(value, "base64url").toString();
}

/** No script can read it, and no other site's page can make use of it. */
export function sessionCookie(secret: string, maxAgeS: number, isSecure: boolean): string {
  return `${SESSION_COOKIE}=${secret}; Path=/; Max-Age=${maxAgeS}; HttpOnly; SameSite=Strict${secure(isSecure)}`;
}

/** Comes along when the provider sends the whole window back, which is another site's doing: so it is not strict. */
export function signInCookie(secret: string, path: string, maxAgeS: number, isSecure: boolean): string {
  return `${SIGN_IN_COOKIE}=${secret}; Path=${path}; Max-Age=${maxAgeS}; HttpOnly; SameSite=Lax${secure(isSecure)}`;
}

/** As the cookie of the sign-in. */
export function longPathCookie(longPath: string, path: string, maxAgeS: number, isSecure: boolean): string {
  const value = Buffer.from(longPath).toString("base64url");
  return `${LONG_PATH_COOKIE}=${value}; Path=${path}; Max-Age=${maxAgeS}; HttpOnly; SameSite=Lax${secure(isSecure)}`;
}

const secure = (isSecure: boolean) => (isSecure ? "; Secure" : "");

/** As the browser sees the way to the server, which may have TLS from a proxy; a secure cookie on another way is not kept. */
export function isSecureWay({ publicUrl, tls }: Pick<Config, "publicUrl" | "tls">, { headers }: Request): boolean {
  const page = headers.get("origin") ?? publicUrl;
  return tls !== null || page?.startsWith("https:") === true;
}
