import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** What an ID token is made of, and who signs it. */
export interface Lie {
  claims?: Record<string, unknown>;
  header?: Record<string, unknown>;
  /** Whether somebody else's key signs it. */
  isForged?: boolean;
  /** Another answer at this path of the provider. */
  answers?: Record<string, () => Response | Promise<Response>>;
}

/** A provider that signs everybody in without a page, by ID tokens that may be wrong in one way each. */
export function startLyingProvider() {
  const keys = [makeKey(), makeKey()] as const;
  let lie: Lie = {};
  const codes = new Map<string, { nonce: string; client: string }>();
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
  const issuer = `http://127.0.0.1:${server.port}`;

  async function answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const other = lie.answers?.[pathname];
    if (other) return other();
    switch (pathname) {
      case "/.well-known/openid-configuration":
        return Response.json({
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/jwks`,
          id_token_signing_alg_values_supported: ["RS256", "HS256", "none"],
        });
      case "/jwks":
        return Response.json({
          keys: [{ ...keys[0].publicKey.export({ format: "jwk" }), kid: "one", use: "sig", alg: "RS256" }],
        });
      default:
        return Response.json({ access_token: "a", token_type: "Bearer", id_token: await tokenFor(request) });
    }
  }

  async function tokenFor(request: Request): Promise<string> {
    const form = new URLSearchParams(await request.text());
    const { nonce, client } = codes.get(form.get("code") ?? "") ?? {};
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, aud: client, sub: "7", preferred_username: "ana", groups: ["sre"], nonce };
    const key = keys[lie.isForged ? 1 : 0].privateKey;
    return sealed(
      { alg: "RS256", kid: "one", ...lie.header },
      { ...claims, iat: now, exp: now + 60, ...lie.claims },
      key,
    );
  }

  return {
    issuer,
    tell(next: Lie): void {
      lie = next;
    },
    /** The query of the answer that a browser would bring from there. */
    approve(url: URL): string {
      const code = crypto.randomUUID();
      const asked = url.searchParams;
      codes.set(code, { nonce: asked.get("nonce") ?? "", client: asked.get("client_id") ?? "" });
      return `?${new URLSearchParams({ code, state: asked.get("state") ?? "" })}`;
    },
    stop: () => server.stop(true),
  };
}

const makeKey = () => generateKeyPairSync("rsa", { modulusLength: 2048 });

function sealed(header: object, claims: object, key: KeyObject): string {
  const coded = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${coded}.${sign("sha256", Buffer.from(coded), key).toString("base64url")}`;
}
