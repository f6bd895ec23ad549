import type { GroupRole } from "../config/oidc.ts";
import { ROLES, type Role } from "../protocol/roles.ts";
import type { Claims } from "./model.ts";

/** Beyond it names are cut: an actor has 255 characters, the address included. */
const NAME_CHARS_MAX = 80;
/** No person is in more; what is beyond is not looked at. */
const GROUPS_MAX = 5_000;
/** The group of everybody whom the provider signs in. */
const EVERYBODY = "*";

/** A claim by its name, or else by the way to it: `realm_access.roles`. */
export function claimAt(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  return name.split(".").reduce<unknown>((value, key) => (hasKey(value, key) ? value[key] : undefined), claims);
}

function hasKey(value: unknown, key: string): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key);
}

/** The groups that a claim names: a list of them, a single one, or the keys of an object, as providers have it. */
export function groupsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  const groups = Array.isArray(value) ? value.slice(0, GROUPS_MAX) : Object.keys(value).slice(0, GROUPS_MAX);
  return groups.filter((group) => typeof group === "string");
}

/** The highest of the roles that the groups have; undefined where none has one. */
export function roleOf(groups: readonly string[], roles: readonly GroupRole[]): Role | undefined {
  const mine = new Set(groups);
  const found = roles.filter(({ group }) => group === EVERYBODY || mine.has(group)).map(({ role }) => role);
  return ROLES.findLast((role) => found.includes(role));
}

/**
 * What a person is called here. A name that is taken for something else is none; so is an address that the provider says it did
 * not check, and the provider's own number for the person is the last resort.
 */
export function nameOf(claims: Claims, reserved: readonly string[]): string {
  const email = claims.email_verified === false ? undefined : claims.email;
  const names = [claims.preferred_username, email, claims.name, claims.sub].map(readable);
  return names.find((name) => name !== "" && !reserved.includes(name.normalize("NFKC").toUpperCase())) ?? "somebody";
}

/** Whether the claims say more than a number. */
export function hasName({ preferred_username: name, email }: Claims): boolean {
  return readable(name) !== "" || readable(email) !== "";
}

/** One line of text as it looks: no controls, nothing that turns its direction, no spaces that hide something. */
function readable(text: unknown): string {
  if (typeof text !== "string") return "";
  const line = text.replaceAll(/[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]+/gu, " ").trim();
  return [...line].slice(0, NAME_CHARS_MAX).join("").trim();
}
