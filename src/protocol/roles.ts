/** What a credential lets do, each with all of those before it: see; decide, and run what agents allow; agents and tokens. */
export const ROLES = ["viewer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** Where a route of the server names the role that it needs, among what describes it. */
export const ROLE_FIELD = "x-role";

/** Who may use a route: whoever has this role or a higher one, or everybody, without a credential. */
export type RouteRole = Role | "everybody";

/** Whether who has this role may do what needs that one. */
export function isEnough(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}
