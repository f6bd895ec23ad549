import { createBatcher } from "../lib/batcher.ts";
import type { Clock } from "../lib/clock.ts";
import { sha256Hex } from "../lib/hash.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import { cutPage } from "../lib/page.ts";
import { isSecretToken, newSecretToken } from "../lib/secret-token.ts";
import type { AccessService, Identity, TokenCreation } from "./model.ts";
import { ADMIN_NAME } from "./model.ts";
import type { AccessStore } from "./store.ts";

const TOKEN_PREFIX = "opt_";
/** Most that one statement looks for. */
const LOOK_UP_MAX = 500;
/** More than people and programs need: somebody's script makes them. */
const TOKENS_MAX = 1_000;
/** The last use is shown by the minute or so; each request would be a write. */
const WRITE_REST_MS = 15_000;
/** Where nobody uses a token there is nothing to write. */
const UNUSED_MS = 3_600_000;

export interface AccessDeps {
  store: AccessStore;
  loops: Loops;
  clock: Pick<Clock, "monotonicMs">;
}

/**
 * Makes the access tokens of this node. Nothing is remembered: a token that is revoked on one node is so on all of them at once.
 * Look-ups go together, so that whoever guesses keeps one connection busy at most.
 */
export function createAccess({ store, loops, clock }: AccessDeps) {
  const lookUp = createBatcher(findAll, { max: LOOK_UP_MAX });
  /** By the token; no more than there are tokens. */
  let uses = new Map<string, { atMs: number; address: string }>();
  let writing: Loop | undefined;

  async function findAll(tokens: readonly string[]): Promise<(Identity | undefined)[]> {
    const hashes = tokens.map(sha256Hex);
    const found = await store.find([...new Set(hashes)]);
    return hashes.map((hash) => {
      const token = found.get(hash);
      return token && { role: token.role, name: token.name, tokenId: token.id, way: "api" as const };
    });
  }

  async function writeUses(): Promise<undefined> {
    if (uses.size === 0) return;
    const taken = uses;
    uses = new Map();
    const nowMs = clock.monotonicMs();
    const rows = [...taken].map(([tokenId, { atMs, address }]) => ({ tokenId, ageMs: nowMs - atMs, address }));
    try {
      await store.writeUses(rows);
    } catch (error) {
      uses = new Map([...taken, ...uses]);
      throw error;
    }
  }

  const service: AccessService = {
    find: async (token) => (isSecretToken(token, TOKEN_PREFIX) ? lookUp(token) : undefined),
    used(tokenId, address) {
      if (uses.size === 0) writing?.wake();
      uses.set(tokenId, { atMs: clock.monotonicMs(), address });
    },
    async list({ limit, cursor }) {
      const { rows: tokens, ...next } = cutPage(await store.list(limit + 1, cursor), limit);
      return { tokens, ...next };
    },
    async create(wanted, actor) {
      if (wanted.name.toUpperCase() === ADMIN_NAME) return refused("name_taken");
      const token = newSecretToken(TOKEN_PREFIX);
      const made = await store.create(
        { ...wanted, id: crypto.randomUUID(), hash: sha256Hex(token) },
        TOKENS_MAX,
        actor,
      );
      return typeof made === "string" ? refused(made) : { ok: true, made, token };
    },
    revoke: store.revoke,
  };

  return {
    ...service,
    start(): void {
      writing ??= loops.start({
        name: "last uses",
        everyMs: UNUSED_MS,
        restMs: WRITE_REST_MS,
        failed: "when tokens were used last could not be written",
        turn: writeUses,
      });
    },
    /** Writes what is left. */
    async stop(): Promise<void> {
      await writing?.stop();
      await writeUses();
    },
  };
}

function refused(reason: "name_taken" | "too_many_tokens"): TokenCreation {
  const message =
    reason === "name_taken"
      ? "a token that is good has this name"
      : `there are ${TOKENS_MAX} tokens; revoke some first`;
  return { ok: false, reason, message };
}
