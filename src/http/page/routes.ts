import { Elysia } from "elysia";
import { qualityOf } from "../../lib/accept.ts";
import { ROLE_FIELD } from "../../protocol/roles.ts";
import { HttpProblem } from "../problems.ts";
import { ENCODINGS, type Encoding, PAGE_PATH, type Page, type PageFile } from "./pack.ts";

/** Whether the path is the page's, or below it. */
export function isPagePath(path: string): boolean {
  return path === PAGE_PATH || path.startsWith(`${PAGE_PATH}/`);
}

/** The page loads its own files and talks to its own server, nothing else; text becomes no script but by the one policy. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types opspilot",
].join("; ");

/** On every answer at the page's paths, refusals as well. */
export const PAGE_HEADERS = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
} as const;

const IMMUTABLE = "public, max-age=31536000, immutable";
const ASK_EACH_TIME = "no-cache";

/**
 * The page: the same HTML at all its addresses, whose meaning is in the URL, and the files that it loads. They hold no data, and
 * are for everybody. `findPage` is asked when the first browser comes.
 */
export function pageRoutes(findPage: () => Promise<Page>) {
  let found: Promise<Page> | undefined;

  function page(): Promise<Page> {
    found ??= findPage().catch((error) => {
      found = undefined;
      throw error;
    });
    return found;
  }

  async function answer(request: Request, path: string): Promise<Response> {
    const { shell, assets } = await page();
    const name = path.slice(PAGE_PATH.length + 1);
    const asset = assets.get(name);
    if (asset) return send(asset, request, IMMUTABLE);
    // No address of the page has a dot: it is a file of another release, or none at all.
    if (name.includes(".")) throw new HttpProblem(404, "not_found", "there is no such file");
    return send(shell, request, ASK_EACH_TIME);
  }

  const detail = { summary: "The page for people", [ROLE_FIELD]: "everybody" as const, hide: true };
  return new Elysia({ name: "page", normalize: false })
    .get(PAGE_PATH, ({ request, path }) => answer(request, path), { detail })
    .get(`${PAGE_PATH}/*`, ({ request, path }) => answer(request, path), { detail });
}

function send(file: PageFile, { headers }: Request, cacheControl: string): Response {
  const validators = { etag: file.etag, "cache-control": cacheControl, vary: "Accept-Encoding" };
  if (isKnown(headers.get("if-none-match"), file.etag)) return new Response(null, { status: 304, headers: validators });
  const encoding = encodingFor(headers.get("accept-encoding"));
  const coded: Record<string, string> = encoding === "identity" ? {} : { "content-encoding": encoding };
  return new Response(new Uint8Array(file.bodies[encoding]), {
    headers: { ...validators, ...coded, "content-type": file.contentType },
  });
}

/** The smallest of what the client likes best. */
function encodingFor(header: string | null): Encoding {
  const quality = (encoding: Encoding) => qualityOf(header, encoding) ?? 0;
  const coded = ENCODINGS.filter((one) => one !== "identity" && quality(one) > 0);
  return coded.toSorted((a, b) => quality(b) - quality(a))[0] ?? "identity";
}

function isKnown(header: string | null, etag: string): boolean {
  const known = header?.split(",").map((one) => one.trim()) ?? [];
  return known.includes(etag) || known.includes("*");
}
