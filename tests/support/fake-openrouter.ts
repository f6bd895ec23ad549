/** What a request was, as the endpoint saw it. */
export interface SeenRequest {
  readonly path: string;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into requests without describing them first
  readonly body: any;
  readonly atMs: number;
}

/** How one request is answered. */
export type Behaviour = (request: SeenRequest, signal: AbortSignal) => Response | Promise<Response>;

/** A server that speaks OpenRouter's chat completions. */
export interface FakeOpenRouter {
  readonly baseUrl: string;
  readonly seen: SeenRequest[];
  /** The next requests' behaviours, in order; the last one stays. */
  behave(...behaviours: Behaviour[]): void;
  stop(): Promise<void>;
}

/** An explanation as a good model gives it. */
export const GOOD_ANSWER = {
  cause: "Port 80 is taken by apache2, so nginx cannot listen on it.",
  explanation: "bind() fails with EADDRINUSE.",
  fix: "Stop apache2 or give nginx another port, then start nginx.",
  fix_command: "systemctl status nginx",
  category: "port_conflict",
  severity: "critical",
  confidence: 0.93,
  evidence: ["bind() to 0.0.0.0:80 failed (98: Address already in use)"],
};

/** Starts on a free port of 127.0.0.1. */
export function startFakeOpenRouter(): FakeOpenRouter {
  const seen: SeenRequest[] = [];
  let queue: Behaviour[] = [says(JSON.stringify(GOOD_ANSWER))];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 30,
    async fetch(request) {
      const path = new URL(request.url).pathname;
      const body = request.method === "POST" ? await request.json() : null;
      const one = { path, headers: request.headers, body, atMs: performance.now() };
      seen.push(one);
      const behaviour = queue.length > 1 ? queue.shift() : queue[0];
      return (behaviour ?? fails(500))(one, request.signal);
    },
  });
  return {
    baseUrl: `http://127.0.0.1:${server.port}/api/v1`,
    seen,
    behave(...behaviours) {
      queue = behaviours;
    },
    stop: () => server.stop(true),
  };
}

/** 200 with the text as the model's message. */
export function says(text: string | null): Behaviour {
  return ({ body }) => Response.json(completion(text, body?.model));
}

/** What OpenRouter sends for a message. */
export function completion(text: string | null, model = "qwen/qwen-2.5-coder-32b-instruct") {
  return {
    id: "gen-1706140800-abc",
    provider: "DeepInfra",
    model,
    object: "chat.completion",
    created: 1_706_140_800,
    choices: [
      {
        index: 0,
        finish_reason: "stop",
        native_finish_reason: "stop",
        message: { role: "assistant", content: text, refusal: null },
      },
    ],
    usage: { prompt_tokens: 1_200, completion_tokens: 180, total_tokens: 1_380, cost: 0.000_123 },
  };
}

/** An error as OpenRouter words it. */
export function fails(
  code: number,
  message = "something is wrong",
  headers: Record<string, string> = {},
  metadata?: object,
): Behaviour {
  return () =>
    Response.json(
      { error: { code, message, ...(metadata ? { metadata } : {}) }, user_id: "user_1" },
      { status: code, headers },
    );
}

/** Any answer. */
export function answers(body: string | null, init: ResponseInit): Behaviour {
  return () => new Response(body, init);
}

/** Refuses `response_format`, and answers without it. */
export function refusesFormat(
  status: number,
  message: string,
  then: Behaviour = says(JSON.stringify(GOOD_ANSWER)),
): Behaviour {
  return (request, signal) =>
    request.body.response_format ? fails(status, message)(request, signal) : then(request, signal);
}

/** Says nothing at all until the client goes. */
export const slowHeaders: Behaviour = (_, signal) =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(new Response()), { once: true }));

/** The headers and the beginning of a body, then nothing until the client goes. */
export const slowBody: Behaviour = (_, signal) =>
  new Response(
    new ReadableStream({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode('{"id":"gen-1","choices":['));
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        controller.close();
      },
    }),
    { headers: { "content-type": "application/json" } },
  );

/** A body without an end, as fast as it is read. */
export const endlessBody: Behaviour = () =>
  new Response(
    new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(64 * 1024).fill(32));
      },
    }),
    { headers: { "content-type": "application/json" } },
  );

/** A call that a stand-in model asks for. */
export interface WantedCall {
  name: string;
  arguments: unknown;
}

/** Asks for tools, as OpenRouter hands on what a model calls. */
export function wants(...calls: WantedCall[]): Behaviour {
  return ({ body }) => Response.json(wanting(calls, body?.model));
}

/** What OpenRouter sends for tool calls. */
export function wanting(calls: readonly WantedCall[], model?: string) {
  const tool_calls = calls.map(({ name, arguments: given }, index) => ({
    index,
    id: `call_${crypto.randomUUID().slice(0, 8)}`,
    type: "function",
    function: { name, arguments: typeof given === "string" ? given : JSON.stringify(given) },
  }));
  const said = completion(null, model);
  const choices = said.choices.map((choice) => ({
    ...choice,
    finish_reason: "tool_calls",
    message: { ...choice.message, tool_calls },
  }));
  return { ...said, choices };
}

/** Refuses tools as endpoints do whose model has none, and answers without them. */
export function refusesTools(then: Behaviour): Behaviour {
  return (request, signal) =>
    request.body.tools
      ? fails(404, "No endpoints found that support tool use. To learn more about provider routing, visit: …")(
          request,
          signal,
        )
      : then(request, signal);
}
