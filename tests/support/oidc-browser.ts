/** Redirects beyond these are a loop. */
const STEPS_MAX = 20;

/** What a browser of a person does when it signs in: follows redirects, and keeps each site's cookies. */
export function createTestBrowser(reach: (url: URL) => string) {
  /** By site, then by name; a path that is set counts. */
  const jar = new Map<string, Map<string, { value: string; path: string; sameSite: string }>>();
  const cookiesOf = (origin: string) => {
    const own = jar.get(origin) ?? new Map();
    jar.set(origin, own);
    return own as Map<string, { value: string; path: string; sameSite: string }>;
  };

  function keep(origin: string, lines: readonly string[]): void {
    for (const line of lines) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      const path = /; path=([^;]*)/i.exec(line)?.[1] ?? "/";
      const sameSite = /; samesite=([^;]*)/i.exec(line)?.[1]?.toLowerCase() ?? "lax";
      const isOver = value === "" || /; max-age=0|expires=thu, 01 jan 1970/i.test(line);
      if (isOver) cookiesOf(origin).delete(name);
      else cookiesOf(origin).set(name, { value, path, sameSite });
    }
  }

  /** As it goes along with a request; of a navigation that another site caused, without the strict ones. */
  function cookieFor(url: URL, isCrossSite = false): string {
    return [...cookiesOf(url.origin)]
      .filter(([, { path, sameSite }]) => url.pathname.startsWith(path) && !(isCrossSite && sameSite === "strict"))
      .map(([name, { value }]) => `${name}=${value}`)
      .join("; ");
  }

  /** One step of the window. */
  async function step(url: URL, from: string | null): Promise<{ status: number; next: URL | null }> {
    const isCrossSite = from !== null && from !== url.origin;
    const site = from === null ? "none" : isCrossSite ? "cross-site" : "same-origin";
    const answer = await fetch(reach(url), {
      redirect: "manual",
      headers: {
        connection: "close",
        accept: "text/html",
        cookie: cookieFor(url, isCrossSite),
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
        "sec-fetch-site": site,
      },
    });
    await answer.arrayBuffer();
    keep(url.origin, answer.headers.getSetCookie());
    const location = answer.headers.get("location");
    return { status: answer.status, next: location === null ? null : new URL(location, url) };
  }

  return {
    cookieFor,
    /** Each address of the window, from the first to where it stays, or to the first that `isEnd`; the last is not visited then. */
    async walk(first: string, isEnd: (url: URL) => boolean, from: string | null = null): Promise<URL[]> {
      const visited = [new URL(first)];
      let cameFrom = from;
      for (let steps = 0; steps < STEPS_MAX; steps++) {
        const at = visited.at(-1) as URL;
        if (isEnd(at)) return visited;
        const { status, next } = await step(at, cameFrom);
        if (next === null) throw new Error(`the window stays at ${at.href} with status ${status}`);
        // Once another site was on the way, the whole way is another site's.
        cameFrom = cameFrom !== null && cameFrom !== at.origin ? cameFrom : at.origin;
        visited.push(next);
      }
      throw new Error(`there is no end: ${visited.map(({ href }) => href).join(" → ")}`);
    },
  };
}

/** A browser of a test. */
export type TestBrowser = ReturnType<typeof createTestBrowser>;
