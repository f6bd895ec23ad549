import type { Role } from "../protocol/roles.ts";

/** A browser's session: its secret is the cookie's value, known to that browser alone. */
export interface NewSession {
  readonly secret: string;
  readonly lifetimeMs: number;
}

/** Who is signed in by a browser. */
export interface Session {
  readonly endsAt: Date;
  /** The token that one signed in with; null for ADMIN_TOKEN. */
  readonly token: { readonly id: string; readonly name: string; readonly role: Role } | null;
}

/** Who is signed in by a browser, on whichever node. */
export interface SessionService {
  /** Begins one. Who asks has proved to know this token, or, with null, ADMIN_TOKEN. */
  create(tokenId: string | null): Promise<NewSession>;
  /** The session; undefined when there is none: over, ended, begun under another ADMIN_TOKEN, or with a token that is no longer good. */
  find(secret: string): Promise<Session | undefined>;
  /** Ends it, if there is one. */
  end(secret: string): Promise<void>;
}
