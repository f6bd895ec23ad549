import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const BASE64URL = { alphabet: "base64url", omitPadding: true } as const;

/** What a sign-in that was begun needs when its answer comes. */
export interface OpenSignIn {
  /** Unix milliseconds. */
  readonly endsMs: number;
  /** Where in the page one wanted to go: the path, or, of one that is too long for a state, its digest. */
  readonly returnTo: { readonly path: string } | { readonly digest: string };
  /** The hash of the session that this browser had when it began; null without one. */
  readonly formerSession: string | null;
}

/** What only who began a sign-in can know: what the ID token must repeat, and PKCE's verifier. */
export interface SignInProof {
  readonly nonce: string;
  readonly verifier: string;
}

type Content = readonly [endsMs: number, formerSession: string | null, path: string | null, digest: string | null];

/**
 * Makes what turns a sign-in into the `state` that goes to the provider and comes back, so that nothing has to be kept of one that was
 * begun. All nodes of one ADMIN_TOKEN can open it, nobody else can make or read it, and it opens for the browser alone that began.
 */
export function createSeal(adminToken: string) {
  const keyFor = (use: string) => new Uint8Array(hkdfSync("sha256", adminToken, "", `opspilot oidc ${use}`, KEY_BYTES));
  const stateKey = keyFor("state");
  const proofKey = keyFor("proof");

  return {
    seal({ endsMs, formerSession, returnTo }: OpenSignIn, browser: string): string {
      const [path, digest] = "path" in returnTo ? [returnTo.path, null] : [null, returnTo.digest];
      const content: Content = [endsMs, formerSession && toBase64url(formerSession), path, digest];
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(CIPHER, stateKey, iv).setAAD(Buffer.from(browser));
      const parts = [iv, cipher.update(JSON.stringify(content)), cipher.final(), cipher.getAuthTag()];
      return Buffer.concat(parts).toBase64(BASE64URL);
    },

    /** Undefined where it is none of ours, or another browser's. */
    open(state: string, browser: string): OpenSignIn | undefined {
      const sealed = Buffer.from(state, "base64url");
      // One sign-in has one state: what only decodes to the same would count a second time.
      if (sealed.length < IV_BYTES + TAG_BYTES || sealed.toBase64(BASE64URL) !== state) return undefined;
      const opened = decrypt(sealed, browser);
      if (opened === undefined) return undefined;
      const [endsMs, formerSession, path, digest] = JSON.parse(opened) as Content;
      const returnTo = path === null ? { digest: digest ?? "" } : { path };
      return { endsMs, formerSession: formerSession && Buffer.from(formerSession, "base64url").toHex(), returnTo };
    },

    /** The same for the same state and browser. */
    proofOf(state: string, browser: string): SignInProof {
      const made = (use: string) =>
        new Bun.CryptoHasher("sha256", proofKey).update(`${use} ${state} ${browser}`).digest("base64url");
      return { nonce: made("nonce"), verifier: made("verifier") };
    },
  };

  function decrypt(sealed: Buffer, browser: string): string | undefined {
    const decipher = createDecipheriv(CIPHER, stateKey, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(browser)).setAuthTag(sealed.subarray(-TAG_BYTES));
    const head = decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES));
    try {
      return Buffer.concat([head, decipher.final()]).toString();
    } catch {
      // The tag does not fit: the only thing that can go wrong here.
      return undefined;
    }
  }
}

export type Seal = ReturnType<typeof createSeal>;

const toBase64url = (hex: string) => Buffer.from(hex, "hex").toBase64(BASE64URL);
