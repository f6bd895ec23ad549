/**
 * Who did something, as it is written wherever that is kept: `agent`, `system`, `model`, or a person or program by the way in
 * which it came: `slack:U012AB3CD`, `cli:root`, `api:alice@10.0.0.7` (the name of the token, and the address), `api:10.0.0.7`
 * (where no credential is asked for, or a wrong one was given), `oidc:alice@example.com@10.0.0.7` (a person by the name that the
 * provider of OpenID Connect gives, and the address).
 */
export interface Actor {
  /** `api`, `oidc`, `cli`, `slack`; or the whole of an actor that is no person. */
  readonly way: string;
  /** A token's, a user's; null where nobody is named. */
  readonly name: string | null;
  readonly address: string | null;
}

/** In which way a request's sender came: by a token, or signed in at a provider of OpenID Connect. */
export type RequestWay = "api" | "oidc";

/** Addresses have no @, so that the parts come apart again. */
export function requestActor(way: RequestWay, name: string | null, address: string): string {
  return name === null ? `${way}:${address}` : `${way}:${name}@${address}`;
}

/** Of a request with a token, or without a credential. */
export function apiActor(name: string | null, address: string): string {
  return requestActor("api", name, address);
}

/** Whether an actor that came in this way has an address. */
const isRequest = (way: string) => way === "api" || way === "oidc";

/** The parts of an actor. */
export function readActor(actor: string): Actor {
  const [way = "", rest] = actor.split(/:(.*)/s);
  if (rest === undefined) return { way, name: null, address: null };
  if (!isRequest(way)) return { way, name: rest, address: null };
  const at = rest.lastIndexOf("@");
  return at < 0 ? { way, name: null, address: rest } : { way, name: rest.slice(0, at), address: rest.slice(at + 1) };
}

/** As others are told who it was: by the token's or the person's name, or the address where no credential was asked for. */
export function actorName(actor: string): string {
  const { way, name, address } = readActor(actor);
  return isRequest(way) ? (name ?? `somebody at ${address}`) : actor;
}
