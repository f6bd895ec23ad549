import type { RequestWay } from "../protocol/actors.ts";
import type { Role } from "../protocol/roles.ts";

/** A name of a token: no @, which divides it from the address where an actor is written. */
export const TOKEN_NAME = "^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,62}[A-Za-z0-9]$|^[A-Za-z0-9]$";
/** What ADMIN_TOKEN is called where others have a token's name; no token may have it. */
export const ADMIN_NAME = "ADMIN_TOKEN";

/** Who a request comes from. */
export interface Identity {
  readonly role: Role;
  /** Of the token or the person; null where no credential is asked for. */
  readonly name: string | null;
  /** Null: ADMIN_TOKEN, a person whom a provider signed in, or open access. */
  readonly tokenId: string | null;
  /** In which way it came, as its actor says it. */
  readonly way: RequestWay;
}

/** A token as people see it. */
export interface AccessToken {
  id: string;
  name: string;
  role: Role;
  created_at: Date;
  created_by: string;
  expires_at: Date | null;
  last_used_at: Date | null;
  last_used_from: string | null;
}

/** What a new token is to be. */
export interface NewAccessToken {
  readonly name: string;
  readonly role: Role;
  readonly expiresAt: Date | null;
}

export type TokenCreation =
  | { ok: true; made: AccessToken; token: string }
  | { ok: false; reason: "name_taken" | "too_many_tokens"; message: string };

/** What people and programs use the API with. */
export interface AccessService {
  /** Who the token is of; undefined when it is unknown, revoked or expired: a revoked one is so at once on every node. */
  find(token: string): Promise<Identity | undefined>;
  /** Notes that it was used; written later, with others. */
  used(tokenId: string, address: string): void;
  /** Those that are good, newest first. */
  list(page: { limit: number; cursor?: string | undefined }): Promise<{ tokens: AccessToken[]; nextCursor?: string }>;
  /** A new token, which is shown this once. */
  create(token: NewAccessToken, actor: string): Promise<TokenCreation>;
  /** False when there is no good token of this id. Its sessions end with it. */
  revoke(id: string, actor: string): Promise<boolean>;
}

/** A line for the audit trail that strangers can cause, so that there may be too many. */
export interface Refusal {
  readonly kind: "access.refused" | "access.guessed" | "session.refused";
  readonly actor: string;
  readonly data: Readonly<Record<string, string | number>>;
}

/** Keeps such lines, each once a minute, and only so many in all. */
export interface AccessAudit {
  refused(refusal: Refusal): void;
  /** Somebody signed in or out. Never rejects: what is done is done. */
  session(kind: "session.started" | "session.ended", actor: string, data?: object): Promise<void>;
}
