import { badJson, HttpProblem } from "./problems.ts";

/** Requests are a few fields; the largest, a command's parameters, are far below. */
export const BODY_BYTES_MAX = 64 * 1024;

/** Bodies are JSON and say so: a form of a web page cannot. Without a body nothing needs to be said. */
export function checkBody({ method, headers }: Request): HttpProblem | undefined {
  if (method === "GET" || method === "HEAD") return undefined;
  const sizeBytes = Number(headers.get("content-length") ?? 0);
  if (sizeBytes === 0 && !headers.has("transfer-encoding") && !headers.has("content-type")) return undefined;
  if (sizeBytes > BODY_BYTES_MAX)
    return new HttpProblem(413, "too_large", `a body has ${BODY_BYTES_MAX} bytes at most`);
  const type = headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type === "application/json") return undefined;
  return new HttpProblem(415, "unsupported_media_type", "bodies must be application/json");
}

function tooLarge(): HttpProblem {
  return new HttpProblem(413, "too_large", `a body has ${BODY_BYTES_MAX} bytes at most`);
}

/**
 * A body as JSON; none counts as an empty object, so that its missing fields can be named. (Elysia's own parser takes what is
 * no JSON for no body where the body is optional.)
 */
export async function parseJson({ request }: { request: Request }): Promise<unknown> {
  const text = await request.text();
  if (text === "") return {};
  if (text.length > BODY_BYTES_MAX) throw tooLarge();
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) throw badJson();
    throw error;
  }
}
