import { createBatcher } from "../lib/batcher.ts";
import { sha256Hex } from "../lib/hash.ts";
import { cutPage } from "../lib/page.ts";
import { isSecretToken, newSecretToken } from "../lib/secret-token.ts";
import type { IntegrationCreation, IntegrationService, Sender } from "./model.ts";
import type { IntegrationStore } from "./store.ts";

const TOKEN_PREFIX = "opi_";
/** Most that one statement looks for. */
const LOOK_UP_MAX = 500;
/** Each of a large site's jobs may be one. */
const INTEGRATIONS_MAX = 5_000;

/** Makes the integrations of this node. Nothing is remembered, and look-ups go together, as those of access tokens do. */
export function createIntegrations(store: IntegrationStore): IntegrationService {
  const lookUp = createBatcher(findAll, { max: LOOK_UP_MAX });

  async function findAll(tokens: readonly string[]): Promise<(Sender | undefined)[]> {
    const hashes = tokens.map(sha256Hex);
    const found = await store.find([...new Set(hashes)]);
    return hashes.map((hash) => found.get(hash));
  }

  return {
    find: async (token) => (isSecretToken(token, TOKEN_PREFIX) ? lookUp(token) : undefined),
    async list({ limit, cursor }) {
      const { rows: integrations, ...next } = cutPage(await store.list(limit + 1, cursor), limit);
      return { integrations, ...next };
    },
    async create(wanted, actor) {
      const token = newSecretToken(TOKEN_PREFIX);
      const row = { ...wanted, id: crypto.randomUUID(), hash: sha256Hex(token) };
      const made = await store.create(row, INTEGRATIONS_MAX, actor);
      return typeof made === "string" ? refused(made) : { ok: true, made, token };
    },
    async rotate(id, actor) {
      const token = newSecretToken(TOKEN_PREFIX);
      const integration = await store.rotate(id, sha256Hex(token), actor);
      return integration && { integration, token };
    },
    revoke: store.revoke,
  };
}

function refused(reason: "name_taken" | "too_many_integrations"): IntegrationCreation {
  const message =
    reason === "name_taken"
      ? "an integration has this name"
      : `there are ${INTEGRATIONS_MAX} integrations; revoke some first`;
  return { ok: false, reason, message };
}
