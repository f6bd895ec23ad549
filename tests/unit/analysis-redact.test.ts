import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { redact } from "../../src/analysis/redact.ts";
import { AWS_SECRET, KEY_BODY, keyEdge, SECRETS } from "../support/secrets.ts";

describe("shapes of the providers", () => {
  test.each(SECRETS.map(({ mark, secret }) => [mark, secret] as const))("%s", (mark, secret) => {
    expect(redact(`before ${secret} after`)).toBe(`before [redacted:${mark}] after`);
    expect(redact(`[${secret}], next`)).toBe(`[[redacted:${mark}]], next`);
    expect(redact(`id=${secret}\n`)).toBe(`id=[redacted:${mark}]\n`);
  });

  test("webhook addresses keep the host", () => {
    const slack = `https://hooks.slack.com/serv${"ices"}/T0ABCDEF/B0ABCDEF/${"a1B2c3D4".repeat(3)}`;
    expect(redact(`POST ${slack} 404`)).toBe("POST https://hooks.slack.com/services/[redacted:slack-webhook] 404");
    const discord = `https://discord.com/api/web${"hooks"}/123456789012345678/${"a1B2_3D4".repeat(8)}`;
    expect(redact(discord)).toBe("https://discord.com/api/webhooks/[redacted:discord-webhook]");
  });

  test("the secret beside an AWS key", () => {
    const key = SECRETS[0]?.secret ?? "";
    expect(redact(`${key},${AWS_SECRET}`)).not.toContain(AWS_SECRET.slice(5));
    expect(redact(`${key} secret ${AWS_SECRET} x`)).not.toContain(AWS_SECRET.slice(5));
    expect(redact(`aws_secret_access_key = ${AWS_SECRET}`)).toBe("aws_secret_access_key = [redacted:secret]");
  });
});

describe("private keys", () => {
  const block = [keyEdge("BEGIN"), ...KEY_BODY, keyEdge("END")];
  const mark = "[redacted:private-key]";
  const cases: readonly (readonly [string, string, string])[] = [
    ["whole", `a\n${block.join("\n")}\nb`, `a\n${mark}\nb`],
    ["with CRLF", `a\r\n${block.join("\r\n")}\r\nb`, `a\r\n${mark}\r\nb`],
    ["in JSON", `{"key":"${block.join("\\n")}\\n","a":1}`, `{"key":"${mark}\\n","a":1}`],
    ["in a journal", block.map((line) => `Nov 24 host app[1]: ${line}`).join("\n"), `Nov 24 host app[1]: ${mark}`],
    ["without its end", `a\n${block.slice(0, -1).join("\n")}\nERROR: cannot load`, `a\n${mark}\nERROR: cannot load`],
    ["without its end, in JSON", `x "${block.slice(0, 2).join("\\n")}`, `x "${mark}`],
    ["without its beginning", `ERROR: a\n${block.slice(1).join("\n")}\nb`, `ERROR: a\n${mark}\nb`],
    ["without its beginning, in JSON", `x "${block.slice(2).join("\\n")}" y`, `x "${mark}" y`],
    ["two of them", `${block.join("\n")}\n${block.join("\n")}`, `${mark}\n${mark}`],
    ["two, the first without its end", `${block.slice(0, 2).join("\n")}\n${block.join("\n")}`, `${mark}\n${mark}`],
    [
      "of PuTTY",
      `Private-Lines: 2\n${KEY_BODY.slice(0, 2).join("\n")}\nPrivate-MAC: x`,
      `Private-Lines: 2\n${mark}\nPrivate-MAC: x`,
    ],
  ];
  test.each(cases)("%s", (_, text, expected) => {
    expect(redact(text)).toBe(expected);
    expect(redact(expected)).toBe(expected);
  });

  test.each(["", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED "])("of kind %p", (kind) => {
    expect(redact(`${keyEdge("BEGIN", kind)}\nabc\n${keyEdge("END", kind)}`)).toBe(mark);
  });

  test("certificates and public keys stay", () => {
    const text = `-----BEGIN CERTIFICATE-----\n${KEY_BODY.join("\n")}\n-----END CERTIFICATE-----`;
    expect(redact(text)).toBe(text);
  });
});

const NAMED: readonly (readonly [string, string])[] = [
  ["password=hunter2 host=db", "password=[redacted:password] host=db"],
  ["DB_PASSWORD: hunter2", "DB_PASSWORD: [redacted:password]"],
  ["MYSQL_PWD=hunter2", "MYSQL_PWD=[redacted:password]"],
  ['{"password":"hunt\\"er2","host":"db"}', '{"password":"[redacted:password]","host":"db"}'],
  ['{\\"password\\":\\"hunter2\\",\\"n\\":1}', '{\\"password\\":\\"[redacted:password]\\",\\"n\\":1}'],
  ["'passwd' => 'hunter2',", "'passwd' => '[redacted:password]',"],
  ["password = 'a b c' and more", "password = '[redacted:password]' and more"],
  ['secret: "never closed', 'secret: "[redacted:secret]'],
  ["user[password]=hunter2&commit=1", "user[password]=[redacted:password]&commit=1"],
  ["password%3Dhunter2&x", "password%3D[redacted:password]"],
  [
    "Server=db;User Id=sa;Password=P@ss;w0rd;Encrypt=true",
    "Server=db;User Id=sa;Password=[redacted:password];Encrypt=true",
  ],
  ["AccountName=a;AccountKey=abcd1234==;EndpointSuffix=x", "AccountName=a;AccountKey=[redacted:key];EndpointSuffix=x"],
  ["Endpoint=sb://x/;SharedAccessKey=abc123=", "Endpoint=sb://x/;SharedAccessKey=[redacted:key]"],
  ["?sv=1&sig=abcdefghij0123456789abc%3D&se=2", "?sv=1&sig=[redacted:azure-signature]&se=2"],
  ["client_secret=abc123, x", "client_secret=[redacted:secret], x"],
  ["accessToken: 8f3a9", "accessToken: [redacted:token]"],
  ["X-Api-Key: 8f3a9", "X-Api-Key: [redacted:key]"],
  ["apikey=8f3a9)", "apikey=[redacted:key])"],
  ["PrivateKey = 8f3a9kk=", "PrivateKey = [redacted:key]"],
  ["Authorization: Bearer abc tail", "Authorization: Bearer [redacted:authorization] tail"],
  ["'Authorization: Basic dXNlcjpwYXNz' https://a.b", "'Authorization: Basic [redacted:authorization]' https://a.b"],
  ['Authorization: Digest username="a", response="b"', "Authorization: Digest [redacted:authorization]"],
  ['"authorization":"Bearer abc"}', '"authorization":"Bearer [redacted:authorization]"}'],
  ["authorization: 8f3a9", "authorization: [redacted:authorization]"],
  ["got Bearer 8f3a9bcd02 from", "got Bearer [redacted:authorization] from"],
  ["Cookie: sid=abc; theme=dark HTTP/1.1", "Cookie: [redacted:cookie] HTTP/1.1"],
  ['"set-cookie": "sid=abc; Path=/"', '"set-cookie": "[redacted:cookie]"'],
  ["JSESSIONID=8f3a9;", "JSESSIONID=[redacted:session];"],
  ["--password hunter2 --host db", "--password [redacted:password] --host db"],
  ["--api-key=8f3a9 x", "--api-key=[redacted:key] x"],
  ['["--token", "x", "--password=hunter2","--y=1"]', '["--token", "x", "--password=[redacted:password]","--y=1"]'],
  ["mysqldump -u root -phunter2 db", "mysqldump -u root -p[redacted:password] db"],
  ["sshpass -p hunter2 ssh host", "sshpass -p [redacted:password] ssh host"],
  ["redis-cli -h db -a hunter2 ping", "redis-cli -h db -a [redacted:password] ping"],
  ["curl -s -u admin:hunter2 http://x", "curl -s -u admin:[redacted:password] http://x"],
  ["docker login -u me -p hunter2 reg", "docker login -u me -p [redacted:password] reg"],
  ["ALTER ROLE app PASSWORD 'hunter2';", "ALTER ROLE app PASSWORD '[redacted:password]';"],
  ["IDENTIFIED BY 'hunter2'", "IDENTIFIED BY '[redacted:password]'"],
  ["<password>hunter2</password>", "<password>[redacted:secret]</password>"],
  ["postgres://app:hunter2@db:5432/x", "postgres://app:[redacted:url-password]@db:5432/x"],
  ["redis://:hunter2@db", "redis://:[redacted:url-password]@db"],
  ["postgres://app:p@ss/w0rd@db.internal/x", "postgres://app:[redacted:url-password]@db.internal/x"],
  ["jdbc:oracle:thin:scott/tiger1@db:1521/x", "jdbc:oracle:thin:scott/[redacted:url-password]@db:1521/x"],
  ["https://0123456789abcdef0123456789abcdef@o1.ingest.example/2", "https://[redacted:url-token]@o1.ingest.example/2"],
  ["to=<alice.b+c@example.com>, relay", "to=<[redacted:email]>, relay"],
  ["/u?mail=alice%40example.com&x=1", "/u?mail=[redacted:email]&x=1"],
  ["von müller@exämple.de an", "von [redacted:email] an"],
];

const STAYS: readonly string[] = [
  "Access denied for user 'root'@'localhost' (using password: YES)",
  'FATAL: password authentication failed for user "app"',
  "PASSWORD_FILE=/run/secrets/db: no such file or directory",
  "MountVolume.SetUp failed: secretName: db-credentials",
  "error: unexpected token: }",
  "failed to refresh token: connection refused",
  "token: signature is invalid",
  "max_tokens=512 token_type=Bearer",
  "sudo: PWD=/root ; USER=root ; COMMAND=/bin/true",
  "http://registry:8080/path/@scope/pkg",
  "git@github.com:owner/repo.git",
  "postgres://app@db.internal:5432/x",
  "postgresql@main.service: Main process exited, code=exited, status=1/FAILURE",
  "npm error notarget No matching version found for left-pad@9.9.9",
  "sshd[1]: Failed publickey for root from 10.0.0.1 port 22 ssh2: RSA SHA256:abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
  "basic authentication required, bearer tokens are not supported",
  "pod task-scheduler-deployment-7d8f9c6b5-abcde in namespace disk-usage-monitoring-service",
  "commit 0123456789abcdef0123456789abcdef01234567",
  "id 123e4567-e89b-12d3-a456-426614174000 not found",
  "ssh -p 2222 host; nginx -p /etc/nginx; mysqld -P 3306",
  "password: ",
  'password=""',
];

describe("secrets by name", () => {
  test.each(NAMED)("%s", (text, expected) => {
    expect(redact(text)).toBe(expected);
    expect(redact(expected)).toBe(expected);
  });
  test.each(STAYS)("stays: %s", (text) => expect(redact(text)).toBe(text));
});

/** Pieces that mean something to the rules, between which anything may stand. */
const piece = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom(
    "password",
    "token",
    "secret",
    "cookie",
    "authorization",
    "Bearer ",
    "Basic ",
    "--token ",
    "mysql -p",
    "api_key",
    "=",
    ": ",
    ":=",
    '"',
    "'",
    "\\",
    '\\"',
    "`",
    ";",
    ",",
    "&",
    ")",
    "]",
    "}",
    "<",
    ">",
    "://",
    "@",
    ":",
    "/",
    "%40",
    "%3D",
    "&quot;",
    "\n",
    " ",
    ".com",
    "[redacted:token]",
    "[redacted:",
    "a.b",
    "hunter2",
    "x=1",
    "YES",
    keyEdge("BEGIN"),
    keyEdge("END"),
    ...KEY_BODY,
  ),
);
const joined = (of: typeof piece) => fc.array(of, { maxLength: 25 }).map((pieces) => pieces.join(""));
const text = joined(piece);
const textWithSecrets = joined(fc.oneof(piece, fc.constantFrom(...SECRETS.map(({ secret }) => secret))));

describe("in any text", () => {
  test("doing it twice changes nothing", () => {
    fc.assert(
      fc.property(textWithSecrets, (any) => expect(redact(redact(any))).toBe(redact(any))),
      { numRuns: 3_000 },
    );
  });

  test("a planted token never survives", () => {
    const edge = fc.constantFrom(" ", "\n", '"', "'", "=", ":", ",", ";", "(", "[", "<", "{", "\t", "|", "\u001b[31m ");
    fc.assert(
      fc.property(text, edge, fc.constantFrom(...SECRETS), edge, text, (before, left, { secret }, right, after) => {
        expect(redact(before + left + secret + right + after)).not.toContain(secret);
      }),
      { numRuns: 3_000 },
    );
  });

  test("a planted password never survives", () => {
    const password = fc
      .string({ unit: fc.constantFrom(..."abcXYZ0189!@#$%^*-_+?/.,:;~"), minLength: 4, maxLength: 30 })
      .map((random) => `Zq9${random}9qZ`);
    const forms: readonly ((secret: string) => string)[] = [
      (secret) => `DB_PASSWORD=${secret}`,
      (secret) => `password: ${secret}\nnext`,
      (secret) => JSON.stringify({ password: secret, host: "db" }),
      (secret) => JSON.stringify(JSON.stringify({ client_secret: secret })),
      (secret) => `Password=${secret};Encrypt=true`,
      (secret) => `--password '${secret}'`,
      (secret) => `tool --token ${secret} run`,
      (secret) => `X-Api-Key: ${secret}`,
      (secret) => `postgres://app:${encodeURIComponent(secret)}@db/x`,
      (secret) => `IDENTIFIED BY '${secret}'`,
      (secret) => `Authorization: Bearer ${secret.replaceAll(/[,:;]/g, "")}`,
    ];
    const surrounding = fc.string({ unit: "binary", maxLength: 60 });
    fc.assert(
      fc.property(surrounding, fc.constantFrom(...forms), password, surrounding, (before, form, secret, after) => {
        const out = redact(`${before.replaceAll(/["'`\\]/g, "")}\n${form(secret)}\n${after}`);
        expect(out).not.toContain(secret);
        expect(out).not.toContain(secret.slice(-8));
      }),
      { numRuns: 3_000 },
    );
  });

  test("256 KiB of what is worst for the rules take no longer than a moment", () => {
    const pieces = [
      "a",
      "-",
      "password=",
      'token=\\"',
      ",;&)",
      "://a:",
      "x@",
      "tokentoken",
      "--a-a-",
      "eyJ",
      "cookie:",
      "mysql ",
    ];
    for (const worst of [...pieces, keyEdge("BEGIN"), `${keyEdge("END")}\n`, `${KEY_BODY[0]}\n`]) {
      const long = `token=${worst.repeat(Math.ceil((256 * 1024) / worst.length))}`;
      const startMs = performance.now();
      redact(long);
      // Alone it takes up to 25 ms; this bound tells linear from quadratic on a busy machine.
      expect(performance.now() - startMs).toBeLessThan(5_000);
    }
  });
});
