import { createBatcher } from "../lib/batcher.ts";
import type { NewSession, Session, SessionService } from "./model.ts";
import type { SessionStart, SessionStore } from "./store.ts";

/** A shift: who comes back the next day signs in again. */
const LIFETIME_MS = 12 * 3_600_000;
const SECRET_BYTES = 32;
/** Most that one statement looks for. */
const LOOK_UP_MAX = 500;

export interface SessionDeps {
  store: SessionStore;
  adminToken: string;
  /** Whether people sign in at a provider of OpenID Connect; where they no longer do, nobody is signed in by it. */
  hasOidc: boolean;
}

/**
 * Makes the sessions of this node. A row's key is made of the cookie and of ADMIN_TOKEN, so that neither
 * follows from it, and none is found after ADMIN_TOKEN has changed. Nothing is remembered: a session that is ended on one node is
 * over on all of them at once. Look-ups go together, so that cookies of strangers keep one connection busy at most.
 */
export function createSessions({ store, adminToken, hasOidc }: SessionDeps): SessionService {
  const hashOf = (secret: string) => new Bun.CryptoHasher("sha256", adminToken).update(secret).digest("hex");
  const lookUp = createBatcher(findAll, { max: LOOK_UP_MAX });

  async function findAll(secrets: readonly string[]): Promise<(Session | undefined)[]> {
    const hashes = secrets.map(hashOf);
    const found = await store.find([...new Set(hashes)]);
    return hashes.map((hash) => found.get(hash)).map((session) => (isGood(session) ? session : undefined));
  }

  const isGood = (session: Session | undefined) => session?.owner.by !== "oidc" || hasOidc;

  async function begin(start: SessionStart): Promise<NewSession> {
    const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(SECRET_BYTES))).toString("base64url");
    await store.create(hashOf(secret), LIFETIME_MS, start);
    return { secret, lifetimeMs: LIFETIME_MS };
  }

  return {
    create: (tokenId) => begin({ tokenId, person: null }),
    // No token has this id, and none ever will.
    createFor: (person) => begin({ tokenId: crypto.randomUUID(), person }),
    find: lookUp,
    end: (secret) => store.end(hashOf(secret)),
    hashOf,
    endHashed: store.end,
  };
}
