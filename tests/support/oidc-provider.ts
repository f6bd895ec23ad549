/// <reference path="./oidc-package.d.ts" />
import { generateKeyPairSync } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import Provider from "oidc-provider";

/** The clients that it knows, by how they prove themselves. */
export const CLIENTS = {
  basic: { client_id: "opspilot", client_secret: "a-secret/with+what%needs:coding", way: "client_secret_basic" },
  post: { client_id: "opspilot-post", client_secret: "another-secret", way: "client_secret_post" },
  public: { client_id: "opspilot-public", client_secret: undefined, way: "none" },
} as const;

/** Somebody whom it can sign in: claims by name. */
export type Account = Record<string, unknown>;

/** A real provider of OpenID Connect, on loopback. */
export interface TestProvider {
  readonly issuer: string;
  /** Who signs in next without being asked; null: whoever is at the browser says yes on a page; "refuses": says no. */
  account: string | null;
  readonly accounts: Map<string, Account>;
  /** What it was asked for: method and path. */
  readonly asked: string[];
  /** Away, and back at the same address. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one whose clients may send people back to these. */
export async function startTestProvider(redirectUris: string[]): Promise<TestProvider> {
  const accounts = new Map<string, Account>();
  const asked: string[] = [];
  const state = { account: null as string | null };
  let handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  let server = await listen(0);
  const { port } = server.address() as { port: number };
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, configurationFor(redirectUris, accounts));
  const answer = provider.callback();

  handle = async (request, response) => {
    const path = new URL(request.url ?? "/", issuer).pathname;
    asked.push(`${request.method} ${path}`);
    await (path.startsWith("/interaction/") ? interact(request, response) : answer(request, response));
  };

  async function interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { prompt, params, session, uid } = await provider.interactionDetails(request, response);
    if (state.account === "refuses") {
      await provider.interactionFinished(request, response, { error: "access_denied" });
    } else if (prompt.name === "login") {
      if (state.account === null && request.method === "GET") return askPerson(response, uid);
      const accountId = state.account ?? [...accounts.keys()][0];
      await provider.interactionFinished(request, response, { login: { accountId } });
    } else {
      const grant = new provider.Grant({ accountId: session?.accountId ?? "", clientId: params.client_id });
      grant.addOIDCScope("openid profile email groups");
      await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
    }
  }

  function listen(at: number): Promise<Server> {
    const made = createServer((request, response) => {
      handle(request, response).catch((error: unknown) => {
        response.statusCode = 500;
        response.end(String(error));
      });
    });
    return new Promise((resolve) => made.listen(at, "127.0.0.1", () => resolve(made)));
  }

  function close(): Promise<void> {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  }

  return {
    issuer,
    accounts,
    asked,
    get account() {
      return state.account;
    },
    set account(account) {
      state.account = account;
    },
    pause: close,
    async resume() {
      server = await listen(port);
    },
    stop: close,
  };
}

function askPerson(response: ServerResponse, uid: string): void {
  response.setHeader("content-type", "text/html");
  response.end(
    `<!doctype html><title>Provider</title><form method="post" action="/interaction/${uid}"><button>It is me</button></form>`,
  );
}

function configurationFor(redirectUris: string[], accounts: ReadonlyMap<string, Account>): Record<string, unknown> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    clients: Object.values(CLIENTS).map(({ way, client_secret, client_id }) => ({
      client_id,
      ...(client_secret === undefined ? {} : { client_secret }),
      token_endpoint_auth_method: way,
      redirect_uris: redirectUris,
    })),
    claims: {
      openid: ["sub"],
      profile: ["preferred_username", "name"],
      email: ["email", "email_verified"],
      groups: ["groups"],
    },
    findAccount: (_: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, ...accounts.get(id) }),
    }),
    interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    features: { devInteractions: { enabled: false } },
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "one", use: "sig" }] },
    cookies: { keys: ["a-key-of-the-provider"] },
    pkce: { required: () => true },
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "none"],
  };
}
