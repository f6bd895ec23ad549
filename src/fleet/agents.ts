import { sha256Hex } from "../lib/hash.ts";
import type { AgentService } from "./model.ts";
import type { FleetStore } from "./store.ts";

/** 256 random bits; the prefix lets people and secret scanners tell what it is. */
const TOKEN_BYTES = 32;
const TOKEN_PREFIX = "opa_";

export interface AgentServiceDeps {
  store: FleetStore;
  /** Tells every node that the agents' old tokens and sockets are no longer good. */
  revoked: (agentId: string, why: "deleted" | "revoked") => Promise<void>;
}

/** Agents as people manage them. */
export function createAgentService({ store, revoked }: AgentServiceDeps): AgentService {
  return {
    async list({ limit, cursor }) {
      const agents = await store.list(limit + 1, cursor);
      const page = agents.slice(0, limit);
      const last = page.at(-1);
      return agents.length > limit && last ? { agents: page, nextCursor: last.id } : { agents: page };
    },
    get: (id) => store.get(id),
    async create({ hostname }, actor) {
      const token = newToken();
      const row = { id: crypto.randomUUID(), tokenHash: sha256Hex(token), hostname: hostname ?? null };
      return { agent: await store.create(row, actor), token };
    },
    async remove(id, actor) {
      const agent = await store.revoke(id, null, actor);
      if (!agent) return false;
      await revoked(id, "deleted");
      return true;
    },
    async rotateToken(id, actor) {
      const token = newToken();
      const agent = await store.revoke(id, sha256Hex(token), actor);
      if (!agent) return undefined;
      await revoked(id, "revoked");
      return { agent, token };
    },
  };
}

function newToken(): string {
  return (
    TOKEN_PREFIX +
    crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)).toBase64({ alphabet: "base64url", omitPadding: true })
  );
}
