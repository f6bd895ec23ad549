/** Serves one figure of a Prometheus page as a bare number, which is what the load generator reads. */
export function startCounter(metricsUrl: string, series: string): { url: string; stop(): Promise<void> } {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch() {
      const page = await (await fetch(metricsUrl)).text();
      return new Response(String(figureOf(page, series)));
    },
  });
  return { url: server.url.href, stop: () => server.stop(true) };
}

/** The value of a series, 0 while it is not there: counters appear with their first event. */
export function figureOf(page: string, series: string): number {
  const line = page.split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}
