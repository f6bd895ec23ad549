/** How long the page is left alone between two looks. */
const REST_MS = 20;

/**
 * Serves one figure of a Prometheus page as a bare number, which is what the load generator reads: the latest, at once. The
 * generator waits the longer between two questions the longer an answer takes, and a flooded server answers late.
 */
export function startCounter(metricsUrl: string, series: string): { url: string; stop(): Promise<void> } {
  const ending = new AbortController();
  const { signal } = ending;
  let latest = 0;

  async function look(): Promise<void> {
    while (!signal.aborted) {
      // A server that is restarted meanwhile says nothing: what was last stays.
      const page = await fetch(metricsUrl, { signal })
        .then((answer) => answer.text())
        .catch(() => undefined);
      if (page !== undefined) latest = figureOf(page, series);
      await Bun.sleep(REST_MS);
    }
  }

  const looking = look();
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(String(latest)) });
  return {
    url: server.url.href,
    async stop() {
      ending.abort();
      await looking;
      await server.stop(true);
    },
  };
}

/** The value of a series, 0 while it is not there: counters appear with their first event. */
export function figureOf(page: string, series: string): number {
  const line = page.split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}
