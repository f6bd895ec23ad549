import { describe, expect, test } from "bun:test";
import { parseChecks } from "../../src/config/checks.ts";
import { checkOf } from "../support/checks.ts";

const DAY_MS = 86_400_000;

describe("checks", () => {
  test("are a URL and what is different from the usual", () => {
    const { checks, faults } = parseChecks(
      "https://shop.example.com/health 30s; tcp://db:5432;tls://shop.example.com 7d\n# ours\ndns:shop.example.com",
    );
    expect(faults).toEqual([]);
    const usual = {
      intervalMs: 60_000,
      timeoutMs: 10_000,
      slowMs: null,
      failures: 2,
      severity: "critical",
      secrets: [],
    };
    const trusted = { isInsecure: false, ca: null };
    expect(checks as unknown[]).toEqual([
      {
        ...usual,
        ...trusted,
        kind: "http",
        name: "https://shop.example.com/health",
        target: "https://shop.example.com/health",
        url: "https://shop.example.com/health",
        intervalMs: 30_000,
        expiryMs: 14 * DAY_MS,
        headers: [],
        statuses: [[200, 299]],
        text: null,
        unwantedText: null,
        proxy: null,
      },
      { ...usual, kind: "tcp", name: "tcp://db:5432", target: "tcp://db:5432", host: "db", port: 5432, text: null },
      {
        ...usual,
        ...trusted,
        kind: "tls",
        name: "tls://shop.example.com",
        target: "tls://shop.example.com",
        host: "shop.example.com",
        port: 443,
        expiryMs: 7 * DAY_MS,
      },
      {
        ...usual,
        kind: "dns",
        name: "dns:shop.example.com",
        target: "dns:shop.example.com",
        host: "shop.example.com",
        type: null,
        server: null,
        answers: [],
      },
    ]);
  });

  test("take words in any order, and texts with anything in them", () => {
    const text =
      'https://shop.example.com/a;b?x=1 name=shop status=200-299,404 text="all; \\"is\\" well" text!=error slow=2s for=3 ' +
      'timeout=5s expires=off insecure warning header="X-Key: very secret" 5m';
    expect(checkOf(text)).toMatchObject({
      name: "shop",
      target: "https://shop.example.com/a;b",
      url: "https://shop.example.com/a;b?x=1",
      statuses: [
        [200, 299],
        [404, 404],
      ],
      text: 'all; "is" well',
      unwantedText: "error",
      slowMs: 2_000,
      failures: 3,
      timeoutMs: 5_000,
      expiryMs: null,
      isInsecure: true,
      severity: "warning",
      headers: [["x-key", "very secret"]],
      intervalMs: 300_000,
    });
    const dns = "dns:shop.example.com =192.0.2.1,192.0.2.2 type=a server=[2001:db8::1]:5353";
    expect(checkOf(dns)).toMatchObject({
      answers: ["192.0.2.1", "192.0.2.2"],
      type: "A",
      server: "[2001:db8::1]:5353",
    });
    expect(checkOf("tcp://[2001:db8::1]:22 text=SSH-2.0")).toMatchObject({
      host: "2001:db8::1",
      target: "tcp://[2001:db8::1]:22",
      text: "SSH-2.0",
    });
  });

  test("keep user, password and query to themselves", () => {
    const check = checkOf("https://bob:p%40ss@shop.example.com/health?token=s3cret&id=42");
    expect(check.name).toBe("https://shop.example.com/health");
    expect(check).toMatchObject({
      url: "https://shop.example.com/health?token=s3cret&id=42",
      headers: [["authorization", `Basic ${btoa("bob:p@ss")}`]],
    });
    expect(check.secrets).toContain("s3cret");
    expect(check.secrets).toContain("p@ss");
    expect(check.secrets).not.toContain("token");
  });

  test.each([
    [
      "shop.example.com",
      '"shop.example.com": expected https://…, http://…, tcp://host:port, tls://host or dns:name first',
    ],
    ["icmp://db", '"icmp://db": there is no ping: use tcp://host:port, which says more'],
    ["tcp://db", '"tcp://db": expected a port, as in tcp://host:5432'],
    ["tcp://db:22/x", '"tcp://db:22/x": expected a host and a port, and nothing else'],
    ["dns:1.2.3.4", '"dns:1.2.3.4": expected a name, as in dns:shop.example.com'],
    [
      "tcp://db:22 14d",
      '"tcp://db:22": "14d" is none of the words that fit here: 30s, timeout=5s, slow=2s, for=3, name=…, warning, critical, text="SSH-2.0"',
    ],
    ["http://a 500ms", '"http://a": "500ms": expected how often, from 1s to 24h'],
    ["http://a for=0", '"http://a": "for=0": expected how many failures in a row, from 1 to 20'],
    ["http://a slow=10s", '"http://a": "slow=10s": expected a duration below the timeout of 10 s'],
    ["http://a status=99", '"http://a": "status=99": expected statuses such as 200, 200-299 or 200-299,404'],
    ["http://a for=2 for=3", '"http://a": for= stands there twice'],
    ['http://a text="x', '"http://a": a quote does not end'],
    ["tls://a 400d", '"tls://a": "expires=400d": expected days before the end, from 1d to 366d, or off'],
    ["tls://a ca=x.pem", '"tls://a": ca=: expected the absolute path of a PEM file'],
    ["tls://a ca=/nowhere", '"tls://a": ca=: /nowhere cannot be read (ENOENT)'],
    ["dns:a type=any", '"dns:a": "type=any": expected one of A, AAAA, CNAME, MX, NS, TXT'],
    ["dns:a server=ns", '"dns:a": "server=ns": expected an address such as 192.0.2.53 or 192.0.2.53:5353'],
    ["https://bob:s3cret@a/x?y=s3cret header=s3cret", '"https://a/x": header=: expected "Name: value"'],
    ["http://a; http://a for=3", '"http://a": two checks are called so; give one a name=…'],
  ])("that cannot be read are named with what is wrong: %s", (text, fault) => {
    expect(parseChecks(text).faults).toEqual([fault]);
  });

  test("are told of all at once, and are not too many", () => {
    expect(parseChecks("tcp://a; tcp://b:1; ping:c").faults).toHaveLength(2);
    const many = Array.from({ length: 51 }, (_, n) => `tcp://db${n}:1`).join("\n");
    expect(parseChecks(many).faults).toEqual(["more than 50 checks"]);
  });
});
