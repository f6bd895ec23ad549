import type { Role } from "../protocol/roles.ts";

/**
 * Why somebody was not signed in. `expired`: there is no such sign-in under way in this browser, whether it took too long, was
 * answered before, or was begun elsewhere. `denied`: the provider says no. `no_role`: it says yes, and none of the groups has a role.
 * `unreachable`: it gives no answer. `failed`: its answer proves nothing, or it does not know this client.
 */
export const SIGN_IN_REFUSALS = ["expired", "denied", "no_role", "unreachable", "failed"] as const;
export type SignInRefusal = (typeof SIGN_IN_REFUSALS)[number];

/** What a provider says of somebody, all of it proved. */
export interface Claims {
  /** The provider's own name for that person, which never changes. */
  readonly sub: string;
  readonly [claim: string]: unknown;
}

/** Whom the provider signed in. */
export interface SignedIn {
  readonly name: string;
  readonly role: Role;
  readonly subject: string;
}

/** A sign-in that was begun: where the browser goes, and what it keeps until it comes back. */
export type Beginning =
  | {
      readonly ok: true;
      readonly url: URL;
      readonly browser: string;
      /** The way back where it is too long to go along with the URL; else null. */
      readonly longPath: string | null;
      readonly lifetimeMs: number;
    }
  | { readonly ok: false; readonly reason: "unreachable" | "failed" };

/** What came of the answer that a browser brought. */
export type Ending =
  | {
      readonly ok: true;
      readonly person: SignedIn;
      readonly returnTo: string | null;
      /** The hash of the session that the browser had when it began. */
      readonly formerSession: string | null;
    }
  | {
      readonly ok: false;
      readonly reason: SignInRefusal;
      /** Where one wanted to go; null where that is not known. */
      readonly returnTo: string | null;
      /** Who has no role, and the groups that the provider named. */
      readonly who?: { readonly name: string; readonly subject: string; readonly groups: readonly string[] };
    };

/** A sign-in that is to begin. */
export interface Wanted {
  /** What the browser keeps of an earlier beginning, so that several windows can sign in at a time. */
  readonly browser: string | undefined;
  readonly returnTo: string;
  /** The hash of the session that it has. */
  readonly formerSession: string | null;
}

/** What a browser brings from the provider. */
export interface Answer {
  readonly browser: string | undefined;
  readonly longPath: string | undefined;
  /** As it stands in the callback's URL. */
  readonly query: string;
}

/** Sign-in at a provider of OpenID Connect, by the authorization code flow with PKCE. */
export interface OidcService {
  /** What people call the provider. */
  readonly name: string;
  /** Where a browser begins. */
  readonly url: string;
  begin(wanted: Wanted): Promise<Beginning>;
  finish(answer: Answer): Promise<Ending>;
}
