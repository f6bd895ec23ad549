import type { Role } from "../protocol/roles.ts";

/** A browser's session: its secret is the cookie's value, known to that browser alone. */
export interface NewSession {
  readonly secret: string;
  readonly lifetimeMs: number;
}

/** Whom a provider of OpenID Connect signed in, and with which role here. */
export interface Person {
  readonly name: string;
  readonly role: Role;
}

/** What one signed in with. */
export type SessionOwner =
  | { readonly by: "admin" }
  | { readonly by: "token"; readonly id: string; readonly name: string; readonly role: Role }
  | ({ readonly by: "oidc" } & Person);

/** Who is signed in by a browser. */
export interface Session {
  readonly endsAt: Date;
  readonly owner: SessionOwner;
}

/** Who is signed in by a browser, on whichever node. */
export interface SessionService {
  /** Begins one. Who asks has proved to know this token, or, with null, ADMIN_TOKEN. */
  create(tokenId: string | null): Promise<NewSession>;
  /** Begins one of somebody whom the provider has just signed in. */
  createFor(person: Person): Promise<NewSession>;
  /**
   * The session; undefined when there is none: over, ended, begun under another ADMIN_TOKEN, with a token that is no longer good, or
   * at a provider that is no longer set up.
   */
  find(secret: string): Promise<Session | undefined>;
  /** Ends it, if there is one. */
  end(secret: string): Promise<void>;
  /** What it can be told by where its secret must not go. */
  hashOf(secret: string): string;
  /** Ends the one with this hash, if there is one. */
  endHashed(hash: string): Promise<void>;
}
