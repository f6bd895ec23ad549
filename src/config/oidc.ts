import { isLoopbackHost } from "../lib/addresses.ts";
import { ROLES, type Role } from "../protocol/roles.ts";
import { type Mistakes, RawOidcSettings } from "./settings.ts";

type RawOidc = { [name in keyof typeof RawOidcSettings]?: string };

/** Who is in this group has this role. The group `*` is everybody whom the provider signs in. */
export interface GroupRole {
  readonly group: string;
  readonly role: Role;
}

/** How people sign in at a provider of their own. */
export interface OidcSettings {
  /** As the provider writes it. */
  readonly issuer: string;
  readonly clientId: string;
  /** Null: a public client, which PKCE alone protects. */
  readonly clientSecret: string | null;
  readonly roles: readonly GroupRole[];
  readonly groupsClaim: string;
  /** Null: the usual ones, and `groups` where the provider has it. */
  readonly scopes: string | null;
  /** What the button calls it. */
  readonly name: string;
  /** Where a browser begins. */
  readonly url: string;
  /** Where the provider sends people back to; it has to know this address. */
  readonly redirectUri: string;
}

/** Where a browser begins to sign in at the provider, below PUBLIC_URL. */
export const OIDC_PATH = "/v1/session/oidc";
/** Where the provider's answers come in. */
export const OIDC_CALLBACK_PATH = `${OIDC_PATH}/callback`;

/** Of no use without OIDC_ISSUER. */
const DEPENDENT = ["OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_ROLES"] as const;

const CLIENT_ID_MISSING = "is needed by OIDC_ISSUER: the provider gives it to the client that you register there";
const ROLES_MISSING =
  "is needed by OIDC_ISSUER: which groups have which role, such as ops-admins:admin,sre:operator; *:viewer is for everybody";
const PUBLIC_URL_MISSING = "is needed by OIDC_ISSUER: the provider sends people back to it";
const ADMIN_TOKEN_MISSING =
  "is needed by OIDC_ISSUER: 20 characters or more; it is the way in when the provider is away";

/** Reads them; null where OIDC_ISSUER is not set. What is wrong, or missing beside it, is noted. */
export function readOidc(
  raw: RawOidc & { ACCESS?: string; ADMIN_TOKEN?: string; PUBLIC_URL?: string },
  publicUrl: string | null,
  mistakes: Mistakes,
): OidcSettings | null {
  if (raw.OIDC_ISSUER === undefined) {
    const given = DEPENDENT.find((name) => raw[name] !== undefined);
    if (given !== undefined) mistakes.need("OIDC_ISSUER", undefined, `is needed by ${given}: the provider's URL`);
    return null;
  }
  mistakes.need("OIDC_CLIENT_ID", raw.OIDC_CLIENT_ID, CLIENT_ID_MISSING);
  mistakes.need("OIDC_ROLES", raw.OIDC_ROLES, ROLES_MISSING);
  mistakes.need("PUBLIC_URL", raw.PUBLIC_URL, PUBLIC_URL_MISSING);
  mistakes.need("ADMIN_TOKEN", raw.ADMIN_TOKEN, ADMIN_TOKEN_MISSING);
  if (raw.ACCESS === "open") mistakes.add("ACCESS", "is open, and then nobody signs in: take away OIDC_ISSUER or this");
  return {
    issuer: issuerOf(raw.OIDC_ISSUER, mistakes),
    clientId: raw.OIDC_CLIENT_ID ?? "",
    clientSecret: raw.OIDC_CLIENT_SECRET ?? null,
    roles: rolesOf(raw.OIDC_ROLES, mistakes),
    groupsClaim: raw.OIDC_GROUPS_CLAIM ?? "groups",
    scopes: scopesOf(raw.OIDC_SCOPES, mistakes),
    name: raw.OIDC_NAME ?? "single sign-on",
    url: `${publicUrl ?? ""}${OIDC_PATH}`,
    redirectUri: `${publicUrl ?? ""}${OIDC_CALLBACK_PATH}`,
  };
}

/** Over plain http anybody on the way could say who somebody is: it is for a provider on this machine. */
function issuerOf(issuer: string, mistakes: Mistakes): string {
  const url = URL.parse(issuer);
  const isWhole = url !== null && url.username + url.password + url.search + url.hash === "";
  const isSafe = url?.protocol === "https:" || isLoopbackHost(url?.hostname ?? "");
  if (!isWhole || !isSafe || url.pathname.includes("/.well-known/"))
    mistakes.add("OIDC_ISSUER", `expected ${RawOidcSettings.OIDC_ISSUER.description}`);
  return issuer;
}

/** The last colon divides: names of groups may have some. */
function rolesOf(text: string | undefined, mistakes: Mistakes): readonly GroupRole[] {
  if (text === undefined) return [];
  const entries = text.split(",").filter((entry) => entry.trim() !== "");
  if (entries.length === 0) mistakes.add("OIDC_ROLES", ROLES_MISSING);
  return entries.flatMap((entry) => {
    const [, group = "", word = ""] = /^(.*):([^:]*)$/.exec(entry.trim()) ?? [];
    const role = ROLES.find((one) => one === word.trim());
    if (group.trim() !== "" && role !== undefined) return [{ group: group.trim(), role }];
    const what = JSON.stringify(entry.trim().slice(0, 60));
    mistakes.add("OIDC_ROLES", `${what}: expected GROUP:ROLE with a role of ${ROLES.join(", ")}`);
    return [];
  });
}

function scopesOf(text: string | undefined, mistakes: Mistakes): string | null {
  if (text === undefined) return null;
  const scopes = text.split(/ +/);
  if (!scopes.includes("openid"))
    mistakes.add("OIDC_SCOPES", "openid is missing: without it nobody says who somebody is");
  return scopes.join(" ");
}
