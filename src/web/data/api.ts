/** Nothing of ours takes longer, but for a command's result, which is waited for by the stream. */
const ANSWER_LIMIT_MS = 15_000;

/** What is wrong with one field. */
export interface FieldError {
  field: string;
  message: string;
}

/** A refusal in the server's words, or that it cannot be reached (`status` 0). */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly fields: readonly FieldError[] = [],
    readonly retryAfterS: number | null = null,
  ) {
    super(detail);
  }
}

/** A page of a list; `next` leads to the one after. */
export interface ListPage<T> {
  rows: T[];
  next: string | undefined;
}

/** The server's REST API, as the page uses it. */
export interface Api {
  get<T>(path: string, signal?: AbortSignal): Promise<T>;
  list<T>(path: string, signal?: AbortSignal): Promise<ListPage<T>>;
  send<T>(method: "POST" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<T>;
}

interface ApiDeps {
  fetch: (path: string, init: RequestInit) => Promise<Response>;
  /** Called when an answer says that nobody is signed in here (any more). */
  onSignedOut: () => void;
}

/** Makes the client. Whatever is no answer of success throws an ApiProblem. */
export function createApi({ fetch, onSignedOut }: ApiDeps): Api {
  async function ask(path: string, init: RequestInit, signal?: AbortSignal): Promise<Response> {
    const limit = AbortSignal.timeout(ANSWER_LIMIT_MS);
    const all = signal ? AbortSignal.any([signal, limit]) : limit;
    const answer = await fetch(path, { ...init, signal: all }).catch((error: unknown) => {
      throw signal?.aborted ? error : unreachable(limit.aborted);
    });
    if (answer.ok) return answer;
    const problem = await problemOf(answer);
    if (problem.status === 401 && path !== SESSION_PATH) onSignedOut();
    throw problem;
  }

  return {
    async get<T>(path: string, signal?: AbortSignal) {
      return (await (await ask(path, JSON_WANTED, signal)).json()) as T;
    },
    async list<T>(path: string, signal?: AbortSignal) {
      const answer = await ask(path, JSON_WANTED, signal);
      return { rows: (await answer.json()) as T[], next: nextOf(answer.headers.get("link")) };
    },
    async send<T>(method: "POST" | "PATCH" | "DELETE", path: string, body: unknown = {}) {
      const headers = { "content-type": "application/json", accept: "application/json" };
      const answer = await ask(path, { method, headers, body: JSON.stringify(body) });
      return (answer.status === 204 ? undefined : await answer.json()) as T;
    },
  };
}

/** Where one signs in: a wrong token there is said in its form. */
export const SESSION_PATH = "/v1/session";
const JSON_WANTED: RequestInit = { headers: { accept: "application/json" } };

function nextOf(link: string | null): string | undefined {
  return /<([^>]+)>; rel="next"/.exec(link ?? "")?.[1];
}

function unreachable(isLate: boolean): ApiProblem {
  if (isLate) return new ApiProblem(0, "timeout", `The server did not answer within ${ANSWER_LIMIT_MS / 1000} s.`);
  return new ApiProblem(0, "unreachable", "The server cannot be reached.");
}

async function problemOf(answer: Response): Promise<ApiProblem> {
  const isProblem = answer.headers.get("content-type")?.includes("json") ?? false;
  const retryAfterS = Number(answer.headers.get("retry-after")) || null;
  const body = isProblem ? await answer.json().catch(notJson) : notJson();
  const { code = "unknown", detail = `The server answered ${answer.status}.`, errors = [] } = body;
  return new ApiProblem(answer.status, code, detail, errors, retryAfterS);
}

/** A proxy's own page, for example. */
const notJson = (): { code?: string; detail?: string; errors?: FieldError[] } => ({});

/** What to tell people of a failure. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return "Something went wrong.";
  const { message } = error;
  return message === "" ? "Something went wrong." : (message[0] ?? "").toUpperCase() + message.slice(1);
}
