import { describe, expect, test } from "bun:test";
import { CHECK_ALERTS } from "../../src/analysis/check-alerts.ts";
import { createHeuristics } from "../../src/analysis/heuristics.ts";

const explain = createHeuristics();
const TARGET = "https://shop.example.com/health";

/** What the checks' probes say, each with the rule that knows it. */
const SAID: readonly (readonly [text: string, rule: string])[] = [
  [`${TARGET} is slow: it took 3105 ms, more than 2000 ms`, "check-slow"],
  [`${TARGET}: the certificate of shop.example.com expires in 13 days, on 2026-12-14`, "check-certificate-ends"],
  [
    `${TARGET}: the certificate of R3, by which the server's is signed, expires in 2 days, on 2026-12-03`,
    "check-certificate-ends",
  ],
  [`${TARGET}: the certificate of shop.example.com has expired on 2026-11-30`, "check-certificate-ends"],
  [
    `${TARGET}: certificate has expired: that of shop.example.com was good until 2026-11-30`,
    "check-certificate-expired",
  ],
  [`${TARGET}: certificate has expired (CERT_HAS_EXPIRED)`, "check-certificate-expired"],
  [`${TARGET}: certificate is not yet valid: that of shop begins on 2027-01-01`, "check-certificate-early"],
  [
    `${TARGET}: the certificate is not for shop.example.com: it is for a.example (ERR_TLS_CERT_ALTNAME_INVALID)`,
    "check-certificate-name",
  ],
  [`${TARGET}: the certificate of shop is self-signed (DEPTH_ZERO_SELF_SIGNED_CERT)`, "check-certificate-self-signed"],
  [
    `${TARGET}: the certificate of shop is signed by Our CA, which is unknown on this host and not sent along`,
    "check-certificate-issuer",
  ],
  [
    `${TARGET}: the authority Our Root is not trusted on this host (SELF_SIGNED_CERT_IN_CHAIN)`,
    "check-certificate-issuer",
  ],
  [`${TARGET}: the certificate's issuer is unknown (UNABLE_TO_GET_ISSUER_CERT_LOCALLY)`, "check-certificate-issuer"],
  [`${TARGET}: the certificate of shop is weak: its RSA key has 1024 bits`, "check-certificate-weak"],
  ["tcp://db:5432: connection refused (ECONNREFUSED)", "check-refused"],
  ["tcp://db:5432: no route to host (EHOSTUNREACH)", "check-unreachable"],
  ["tcp://db:5432: connection reset by peer (ECONNRESET)", "check-closed"],
  ['tcp://db:22: the connection was closed without "SSH"', "check-closed"],
  ["tcp://db:5432: timed out: no connection within 10 s", "check-timeout"],
  [`${TARGET}: HTTP 504 Gateway Timeout`, "check-timeout"],
  ["dns:shop.example.com: name not found in the DNS (ENOTFOUND)", "check-name"],
  ["dns:shop.example.com: the DNS has no MX record of this name", "check-name"],
  ["dns:shop.example.com: the DNS server failed (SERVFAIL) (ESERVFAIL)", "check-name"],
  ["dns:shop.example.com: the name resolves to 192.0.2.7, not to 192.0.2.8", "check-address"],
  [`${TARGET}: HTTP 502 Bad Gateway`, "check-upstream"],
  [`${TARGET}: HTTP 401 Unauthorized`, "check-sign-in"],
  [`${TARGET}: HTTP 403 Forbidden`, "check-forbidden"],
  [`${TARGET}: HTTP 404 Not Found`, "check-missing"],
  [`${TARGET}: HTTP 429 Too Many Requests`, "check-rate"],
  [`${TARGET}: more than 5 redirects, the last one to https://shop.example.com/`, "check-redirects"],
];

describe("what a check says", () => {
  test.each(SAID)("%s", (text, rule) => {
    const message = `${text} (failed checks in a row: 2)`;
    const told = explain({ type: "check", source: "shop", message, logs: "", exitCode: null });
    expect(told.rule).toBe(rule);
    // Every fact that the words speak of was there.
    expect(`${told.cause}\n${told.fix}`).not.toMatch(/\{|\bundefined\b|: [,.]| {2}|\s\.$/m);
    expect(told.cause).toContain(text.split(/: | is slow/)[0] ?? "");
    expect(told.fix).toContain("shop");
  });

  test("has each a rule of its own", () => {
    expect(new Set(SAID.map(([, rule]) => rule))).toEqual(new Set(CHECK_ALERTS.map(({ id }) => id)));
  });

  test("is no other alert's to say, and what else a server answers is read as any log", () => {
    const message = "tcp://db:5432: connection refused (ECONNREFUSED)";
    const other = explain({ type: "systemd", source: "shop", message, logs: "", exitCode: null });
    expect(other.rule).not.toStartWith("check-");
    const logs =
      "2026-12-01T02:00:00Z failed: HTTP 500 Internal Server Error (after 5 ms)\nthe answer: No space left on device";
    const told = explain({ type: "check", source: "shop", message: `${TARGET}: HTTP 500`, logs, exitCode: null });
    expect(told.category).toBe("disk_full");
  });
});
