import { afterAll, describe, expect, test } from "bun:test";
import { probe } from "../../src/agent/checks/probe.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "../support/certificate.ts";
import { EXPIRED, LEAF, OTHER_NAME, WEAK, WEAK_KEY } from "../support/certificate-chain.ts";
import { checkOf, rootFile, serveDns, serveTcp, serveTls } from "../support/checks.ts";
import { until } from "../support/until.ts";

const never = new AbortController().signal;
const clock = createSystemClock();
const ca = rootFile();
const stops: (() => unknown)[] = [];
afterAll(() => Promise.all(stops.map((stop) => stop())));

async function outcomeOf(text: string) {
  const outcome = await probe(checkOf(text), clock, never);
  if (outcome === undefined) throw new Error("it was not to end");
  return outcome;
}

/** A `+` or a `-` and what is said. */
async function said(text: string): Promise<string> {
  const { isWell, text: words } = await outcomeOf(text);
  return `${isWell ? "+" : "-"} ${words}`;
}

const ANSWERS: Readonly<Record<string, (request: Request) => Response | Promise<Response>>> = {
  "/ok": () => new Response("all is well"),
  "/gone": () =>
    new Response("<h1>no</h1> such <b>thing</b> s3cret", { status: 404, headers: { "content-type": "text/html" } }),
  "/down": () => new Response("upstream connect error", { status: 502 }),
  "/never": () => new Promise(() => undefined),
  "/half": () => new Response(new ReadableStream({ start: (body) => body.enqueue("begun") })),
  "/endless": () => new Response(new ReadableStream({ pull: (body) => body.enqueue("x".repeat(10_000)) })),
  "/moved": () => Response.redirect("/ok?token=s3cret"),
  "/round": () => Response.redirect("/round"),
  "/to-mail": () => new Response("", { status: 302, headers: { location: "mailto:a@example.com" } }),
  "/elsewhere": ({ url }) => Response.redirect(`http://127.0.0.1:${new URL(url).port}/who`),
  "/who": ({ headers }) => new Response(`you are ${headers.get("authorization")} ${headers.get("x-key")}`),
};
const web = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (request) => ANSWERS[new URL(request.url).pathname]?.(request) ?? new Response("", { status: 500 }),
});
stops.push(() => web.stop(true));
const at = `http://localhost:${web.port}`;
const closed = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
const closedPort = closed.port;
closed.stop(true);

describe("a web server", () => {
  test.each([
    ["/ok", "+ HTTP 200 OK"],
    ["/gone", "- HTTP 404 Not Found"],
    ["/gone status=200,404", "+ HTTP 404 Not Found"],
    ["/down", "- HTTP 502 Bad Gateway"],
    ['/ok text="is well"', "+ HTTP 200 OK"],
    ["/ok text=ill", '- HTTP 200 OK, but the answer lacks "ill"'],
    ["/ok text!=well", '- HTTP 200 OK, but the answer holds "well"'],
    ["/endless", "+ HTTP 200 OK"],
    ["/endless text=y", '- HTTP 200 OK, but the answer lacks "y" in its first 64 KiB'],
    ["/never timeout=200ms", "- timed out: no answer within 0.2 s"],
    ["/half timeout=300ms", "- timed out: HTTP 200 OK, but the answer did not end within 0.3 s"],
    ["/moved", "+ HTTP 200 OK from $/ok"],
    ["/moved status=302", "+ HTTP 302 Found"],
    ["/round", "- more than 5 redirects, the last one to $/round"],
    ["/to-mail", "- HTTP 302 Found, but no place to go on that is a web page"],
  ])("%s", async (place, words) => {
    expect(await said(at + place)).toBe(words.replace("$", at));
  });

  test("that is not there", async () => {
    expect(await said(`http://localhost:${closedPort}/`)).toBe("- connection refused (ECONNREFUSED)");
    expect(await said("http://no-such-host.invalid/")).toBe("- name not found in the DNS (ENOTFOUND)");
  });

  test("gets what is meant for it, and no other does", async () => {
    const own = `http://bob:pass@localhost:${web.port}`;
    const wanted = `text="you are Basic ${btoa("bob:pass")} k3y"`;
    expect(await said(`${own}/who header="x-key: k3y" ${wanted}`)).toBe("+ HTTP 200 OK");
    const other = `text="you are null null" header="x-key: k3y"`;
    expect(await said(`${own}/elsewhere ${other}`)).toBe(`+ HTTP 200 OK from http://127.0.0.1:${web.port}/who`);
  });

  test("is not asked by way of the environment's proxy", async () => {
    const { HTTP_PROXY: before, NO_PROXY: exempt } = process.env;
    Object.assign(process.env, { HTTP_PROXY: `http://127.0.0.1:${closedPort}`, NO_PROXY: "none.example" });
    const words = await said(`http://127.0.0.1:${web.port}/ok`);
    Object.assign(process.env, { HTTP_PROXY: before ?? "", NO_PROXY: exempt ?? "" });
    expect(words).toBe("+ HTTP 200 OK");
  });

  test("is quoted where it fails, without the check's secrets", async () => {
    const { details } = await outcomeOf(`${at}/gone?key=s3cret`);
    expect(details).toBe("the answer: no such thing …");
  });
});

describe("a port", () => {
  test("that takes a connection, or speaks", async () => {
    const { port, stop } = await serveTcp((socket) => socket.write("220 mail.example.com ESMTP\r\n"));
    stops.push(stop);
    expect(await said(`tcp://localhost:${port}`)).toBe("+ connected");
    expect(await said(`tcp://localhost:${port} text=ESMTP`)).toBe("+ connected, and greeted");
    expect(await said(`tcp://localhost:${port} text=SSH timeout=300ms`)).toBe(
      '- timed out: connected, but nothing with "SSH" came within 0.3 s',
    );
  });

  test("that does not", async () => {
    const { port, stop } = await serveTcp((socket) => socket.end("go away\n"));
    stops.push(stop);
    expect(await outcomeOf(`tcp://localhost:${port} text=SSH`)).toMatchObject({
      isWell: false,
      text: 'the connection was closed without "SSH"',
      details: "it said: go away\n",
    });
    expect(await said(`tcp://localhost:${closedPort}`)).toBe("- connection refused (ECONNREFUSED)");
    expect(await said("tcp://no-such-host.invalid:1")).toBe("- name not found in the DNS (ENOTFOUND)");
  });
});

describe("a TLS server", () => {
  async function saidOf(certificate: string, words: string, key?: string, chain?: string): Promise<string> {
    const server = serveTls(certificate, key, chain);
    stops.push(() => server.stop(true));
    return said(`tls://localhost:${server.port} ${words}`);
  }

  test("whose certificates are good, with the first that ends", async () => {
    const server = serveTls(LEAF);
    stops.push(() => server.stop(true));
    const { port } = server;
    expect(await outcomeOf(`tls://localhost:${port} ca=${ca}`)).toMatchObject({
      isWell: true,
      text: "TLSv1.3, certificate of localhost",
      certificate: { subject: "Checks Intermediate", isOwn: false, endMs: Date.parse("2060-01-01") },
    });
    expect(await said(`https://localhost:${port} ca=${ca} text=well`)).toBe("+ HTTP 200 OK");
    expect(await said(`https://localhost:${port} insecure`)).toBe("+ HTTP 200 OK");
    expect(await said(`https://localhost:${port}`)).toBe(
      "- the certificate's issuer is unknown (UNABLE_TO_GET_ISSUER_CERT_LOCALLY)",
    );
  });

  test("whose certificates are not", async () => {
    expect(await saidOf(EXPIRED, `ca=${ca}`)).toBe(
      "- certificate has expired: that of localhost was good until 2026-02-01",
    );
    expect(await saidOf(OTHER_NAME, `ca=${ca}`)).toBe(
      "- the certificate is not for localhost: it is for other.example, www.other.example (ERR_TLS_CERT_ALTNAME_INVALID)",
    );
    expect(await saidOf(CERTIFICATE, "", CERTIFICATE_KEY, "")).toBe(
      "- the certificate of localhost is self-signed (DEPTH_ZERO_SELF_SIGNED_CERT)",
    );
    expect(await saidOf(LEAF, `ca=${ca}`, undefined, "")).toMatch(
      /^- the certificate of localhost is signed by Checks Intermediate, which is unknown on this host and not sent along/,
    );
    expect(await saidOf(WEAK, `ca=${ca}`, WEAK_KEY)).toBe(
      "- the certificate of localhost is weak: its RSA key has 1024 bits",
    );
    expect(await saidOf(EXPIRED, "insecure")).toBe("+ TLSv1.3, certificate of localhost");
  });

  test("that is none", async () => {
    expect(await said(`tls://localhost:${closedPort}`)).toBe("- connection refused (ECONNREFUSED)");
    const { port, stop } = await serveTcp((socket) => socket.end());
    stops.push(stop);
    expect(await said(`tls://localhost:${port}`)).toMatch(/^- .*(?:closed|reset|disconnected)/);
    const silent = await serveTcp(() => undefined);
    stops.push(silent.stop);
    expect(await said(`tls://localhost:${silent.port} timeout=300ms`)).toBe(
      "- timed out: no connection by TLS within 0.3 s",
    );
    await until(() => silent.open.size === 0, { what: "no connection is left" });
  });
});

describe("a name", () => {
  test("as this host sees it", async () => {
    expect(await said("dns:localhost =127.0.0.1,::1")).toMatch(/^\+ resolves to /);
    expect(await said("dns:localhost =192.0.2.1")).toMatch(/^- the name resolves to .*, not to 192\.0\.2\.1$/);
    expect(await said("dns:no-such-host.invalid")).toBe("- name not found in the DNS (ENOTFOUND)");
  });

  test("as a server sees it", async () => {
    const { port, stop } = await serveDns({ "shop.example.com": "192.0.2.7" });
    stops.push(stop);
    const server = `server=127.0.0.1:${port}`;
    expect(await said(`dns:shop.example.com ${server}`)).toBe("+ resolves to 192.0.2.7");
    expect(await said(`dns:shop.example.com type=A =192.0.2.7 ${server}`)).toBe("+ resolves to 192.0.2.7");
    expect(await said(`dns:shop.example.com =192.0.2.8 ${server}`)).toBe(
      "- the name resolves to 192.0.2.7, not to 192.0.2.8",
    );
    expect(await said(`dns:shop.example.com type=MX ${server}`)).toBe("- the DNS has no MX record of this name");
    expect(await said(`dns:other.example.com ${server}`)).toBe("- name not found in the DNS (ENOTFOUND)");
    expect(await said(`dns:shop.example.com timeout=300ms server=127.0.0.1:${closedPort}`)).toMatch(/^- .*DNS/);
  });
});
