import { sha256Hex } from "../lib/hash.ts";
import { cutPage } from "../lib/page.ts";
import { isSecretToken, newSecretToken } from "../lib/secret-token.ts";
import type { EnrolmentStore } from "./enrolment-store.ts";
import type { EnrolmentService } from "./model.ts";

const TOKEN_PREFIX = "ope_";

/** Tokens by which hosts of an image or a playbook make themselves known. */
export function createEnrolments(store: EnrolmentStore): EnrolmentService {
  return {
    async list({ limit, cursor }) {
      const { rows: enrolments, ...next } = cutPage(await store.list(limit + 1, cursor), limit);
      return { enrolments, ...next };
    },
    async create({ uses, until }, actor) {
      const token = newSecretToken(TOKEN_PREFIX);
      const id = crypto.randomUUID();
      return { enrolment: await store.create({ id, hash: sha256Hex(token), uses, until }, actor), token };
    },
    revoke: store.revoke,
  };
}

/** A stranger that brings an enrolment token. */
export interface Bearer {
  readonly tokenHash: string;
  readonly enrolment: string;
}

/** Makes agents of those strangers whose enrolment token has a use left; their ids by the token's hash. */
export async function enrolBearers(store: EnrolmentStore, bearers: readonly Bearer[]): Promise<Map<string, string>> {
  const hashes = new Map(
    bearers
      .filter(({ enrolment }) => isSecretToken(enrolment, TOKEN_PREFIX))
      .map(({ enrolment }) => [enrolment, sha256Hex(enrolment)]),
  );
  const made = new Map<string, string>();
  if (hashes.size === 0) return made;
  const good = await store.findGood([...hashes.values()]);
  for (const { tokenHash, enrolment } of bearers) {
    const hash = hashes.get(enrolment);
    if (hash === undefined || !good.has(hash) || made.has(tokenHash)) continue;
    const id = await store.enrol({ id: crypto.randomUUID(), tokenHash }, hash);
    if (id !== undefined) made.set(tokenHash, id);
  }
  return made;
}
