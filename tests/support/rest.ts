/** An answer of the API: its JSON, whatever its status. */
export interface RestAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into answers without describing them first
  readonly body: any;
  readonly headers: Headers;
}

const ANSWER_LIMIT_MS = 10_000;

/** Asks the API, each time over a connection of its own: servers come and go in these tests. With a body it is a POST. */
export async function rest(base: string, path: string, body?: unknown): Promise<RestAnswer> {
  const answer = await fetch(base + path, {
    keepalive: false,
    signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    ...(body === undefined
      ? {}
      : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: await answer.json(), headers: answer.headers };
}

/** How often each source's alerts of this agent were recorded, over all pages. */
export async function occurrencesBySource(base: string, agentId: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  let path: string | undefined = `/v1/agents/${agentId}/incidents?limit=1000`;
  while (path !== undefined) {
    const { status, body, headers }: RestAnswer = await rest(base, path);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
    for (const { source, occurrences } of body) found.set(source, (found.get(source) ?? 0) + occurrences);
    path = /<(.+)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
  }
  return found;
}
