import { createAccessAudit } from "../access/audit.ts";
import { createGuesses } from "../access/guesses.ts";
import { ADMIN_NAME } from "../access/model.ts";
import { createAccess } from "../access/service.ts";
import { createAccessStore } from "../access/store.ts";
import { proxyOf } from "../config/proxy.ts";
import { createAuditTrail } from "../incidents/audit-store.ts";
import type { OidcService } from "../oidc/model.ts";
import { createProvider } from "../oidc/provider.ts";
import { createSeal } from "../oidc/seal.ts";
import { createOidc } from "../oidc/service.ts";
import { createOidcStore } from "../oidc/store.ts";
import { createSessions } from "../sessions/service.ts";
import { createSessionStore } from "../sessions/store.ts";
import type { ServerParts } from "./agents.ts";

const LAST_USES_STOP_MS = 1_000;

/** Who may use the API and the page: tokens, sessions, and what is kept of those who tried. */
export function createAccessSide(deps: ServerParts) {
  const { config, database, writer, cleanups } = deps;
  const { sql } = database;
  const store = createAccessStore(sql, writer);
  const access = createAccess({ ...deps, store });
  cleanups.add("last uses of tokens", access.stop, LAST_USES_STOP_MS);
  const sessionStore = createSessionStore(sql);
  const adminToken = config.access.adminToken ?? "";
  const hasOidc = config.oidc !== null;
  const oidcStore = createOidcStore(sql);
  const accessAudit = createAccessAudit({ ...deps, note: (line) => writer.note(sql, [line]) });
  return {
    access,
    accessAudit,
    trail: createAuditTrail(sql),
    countGuesses: createGuesses({ ...deps, audit: accessAudit }),
    sessions: createSessions({ store: sessionStore, adminToken, hasOidc }),
    oidc: createSignIn(),
    deletions: [store.deleteOld, sessionStore.deleteOver, oidcStore.deleteOver],
    start: access.start,
  };

  function createSignIn(): OidcService | null {
    const { oidc: settings, proxies } = config;
    if (settings === null) return null;
    const provider = createProvider({ ...deps, settings, proxyOf: (url) => proxyOf(proxies, url) });
    const seal = createSeal(adminToken);
    return createOidc({ ...deps, settings, provider, store: oidcStore, seal, reservedNames: [ADMIN_NAME] });
  }
}
