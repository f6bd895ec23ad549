/** What is used of the API's description. */
type Paths = Record<string, Record<string, { summary?: string }>>;

/** One plain page that lists the API, without a script: nothing is loaded from elsewhere. */
export function openapiPage(document: Record<string, unknown>, version: string): string {
  const rows = Object.entries(document.paths as Paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, { summary = "" }]) =>
        `<tr><td>${method.toUpperCase()}</td><td><code>${Bun.escapeHTML(path)}</code></td><td>${Bun.escapeHTML(summary)}</td></tr>`,
    ),
  );
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>OpsPilot API</title>
<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}td{padding:.2rem 1rem .2rem 0}</style></head>
<body><h1>OpsPilot API ${Bun.escapeHTML(version)}</h1>
<p>The whole description, for programs: <a href="/openapi/json">/openapi/json</a> (OpenAPI 3.1).</p>
<table>${rows.join("\n")}</table></body>
</html>`;
}

/** Its own styles, and nothing else. */
export const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
