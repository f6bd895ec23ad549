import { afterEach, describe, expect, test } from "bun:test";
import { smtp, smtps } from "../../src/outlets/kinds/smtp.ts";
import { OutletUrlError } from "../../src/outlets/model.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "../support/certificate.ts";
import { type MailFaults, startMailServer } from "../support/mail-server.ts";
import { outletDeps, outletUrl, told } from "../support/outlets.ts";
import { stormView } from "../support/slack-views.ts";

const PASSWORD = "s3cret-of-the-mailbox";
const signal = AbortSignal.timeout(60_000);
const params = { from: "ops@example.com", to: "ana@example.com,ben@example.com" };
let server: Awaited<ReturnType<typeof startMailServer>>;

afterEach(() => server.stop());

const plain = () => smtp.open(outletUrl({ host: "127.0.0.1", port: server.port, params }), outletDeps());

describe("mail", () => {
  test("is one thread an incident: the first names the others, a change of state is a mail, a counter is none", async () => {
    server = await startMailServer({ disabledCommands: ["STARTTLS"] });
    const outlet = plain();
    const { externalId } = await outlet.post(told(), signal);
    await outlet.edit(externalId, told({ occurrences: 99 }), signal);
    await outlet.edit(externalId, told({ status: "acknowledged" }), signal);
    await outlet.edit(externalId, told({ status: "resolved", reason: "it is well again" }), signal);
    const said = {
      text: "The last lines",
      file: { name: "../nginx log\r\nX: y", content: "password=hunter2hunter2\nend" },
    };
    await outlet.reply?.(externalId, "logs 1", said, signal);
    expect(server.taken.map((one) => one.header("subject"))).toEqual([
      "[OpsPilot] Critical: nginx on web-1",
      "[OpsPilot] Critical: nginx on web-1",
      "[OpsPilot] Resolved: nginx on web-1",
      "[OpsPilot] Re: The last lines",
    ]);
    const [first, ...others] = server.taken;
    expect(first?.header("message-id")).toBe(externalId ?? "");
    expect(first?.header("in-reply-to")).toBe("");
    for (const one of others)
      expect([one.header("in-reply-to"), one.header("references")]).toEqual([externalId ?? "", externalId ?? ""]);
    expect(new Set(server.taken.map((one) => one.header("message-id"))).size).toBe(4);
    for (const one of server.taken) {
      expect(one.to).toEqual(["ana@example.com", "ben@example.com"]);
      expect(one.header("auto-submitted")).toBe("auto-generated");
      expect([one.header("bcc"), one.header("x")]).toEqual(["", ""]);
      expect(one.source).not.toContain("hunter2");
    }
    expect(first?.source).toContain("&lt;b&gt;");
    expect(first?.header("x-priority")).toStartWith("1");
    expect(others[2]?.source).toMatch(/filename=[^\n]*nginx_log/);
  });

  test("that is sent again has the same Message-ID, another incident another one, a storm's figures none", async () => {
    server = await startMailServer({ disabledCommands: ["STARTTLS"] });
    await plain().post(told(), signal);
    await plain().post(told(), signal);
    await plain().post(told({ createdAt: new Date(0) }), signal);
    const outlet = plain();
    const { externalId } = await outlet.post({ kind: "storm", storm: stormView() }, signal);
    await outlet.edit(externalId, { kind: "storm", storm: stormView({ total: 999 }) }, signal);
    await outlet.edit(externalId, { kind: "storm", storm: stormView({ endedAt: new Date(), open: 0 }) }, signal);
    const ids = server.taken.map((one) => one.header("message-id"));
    expect(ids[0]).toBe(ids[1] ?? "");
    expect(new Set(ids).size).toBe(4);
    expect(server.taken.at(-1)?.header("subject")).toContain("The storm is over");
  });

  test("fails as the server says: now, for good, or nobody knows", async () => {
    server = await startMailServer({ disabledCommands: ["STARTTLS"] });
    const cases: [MailFaults[], string, number][] = [
      [[{ recipient: 450 }, { recipient: 450 }], "later", 0],
      [[{ recipient: 550 }, { recipient: 550 }], "never", 0],
      [[{ message: 451 }], "later", 0],
      [[{ message: 554 }], "never", 0],
      [[{ cut: "before" }], "unknown", 0],
      [[{ cut: "after" }], "unknown", 1],
    ];
    for (const [faults, reason, came] of cases) {
      server.taken.length = 0;
      server.faults.push(...faults);
      const error = await plain()
        .post(told(), signal)
        .catch((one) => one);
      expect({ faults, reason: error.reason, came: server.taken.length }).toEqual({ faults, reason, came });
      server.faults.length = 0;
    }
    // One of two is refused: it goes to the other.
    server.faults.push({ recipient: 550 });
    await plain().post(told(), signal);
    expect(server.taken.at(-1)?.to).toEqual(["ben@example.com"]);
    const { port } = server;
    await server.stop();
    const gone = smtp.open(outletUrl({ host: "127.0.0.1", port, params }), outletDeps());
    expect(await gone.post(told(), signal).catch((one) => one.reason)).toBe("later");
    server = await startMailServer();
  });

  test("goes by STARTTLS or TLS, signs in, and sends no password in the clear", async () => {
    const tls = { key: CERTIFICATE_KEY, cert: CERTIFICATE };
    const onAuth = (
      auth: { username?: string; password?: string },
      _: unknown,
      done: (error: Error | null, answer?: { user: string }) => void,
    ) => (auth.password === PASSWORD ? done(null, { user: auth.username ?? "" }) : done(new Error("no such user")));
    const login = { user: "ops", password: PASSWORD, host: "127.0.0.1" };
    const trusting = { params: { ...params, tls: "unverified" } };

    server = await startMailServer({ ...tls, onAuth, authOptional: false } as never);
    const at = { ...login, port: server.port };
    await smtp.open(outletUrl({ ...at, ...trusting }), outletDeps()).post(told(), signal);
    expect(server.taken).toMatchObject([{ user: "ops", isEncrypted: true }]);
    const failing = [outletUrl({ ...at, params }), outletUrl({ ...at, ...trusting, password: "wrong-wrong-wrong" })];
    for (const url of failing) {
      const error = await smtp
        .open(url, outletDeps())
        .post(told(), signal)
        .catch((one) => one);
      expect(error.reason).toBe("later");
      expect(error.message).not.toContain(url.password);
    }
    await server.stop();

    server = await startMailServer({ disabledCommands: ["STARTTLS"], onAuth, allowInsecureAuth: true } as never);
    const stripped = smtp.open(outletUrl({ ...login, port: server.port, params }), outletDeps());
    expect(await stripped.post(told(), signal).catch((one) => one.reason)).toBe("later");
    expect(server.taken).toEqual([]);
    await server.stop();

    server = await startMailServer({ ...tls, secure: true, onAuth } as never);
    await smtps.open(outletUrl({ ...login, port: server.port, ...trusting }), outletDeps()).post(told(), signal);
    expect(server.taken).toMatchObject([{ user: "ops", isEncrypted: true }]);
  });

  test("names what is wrong with its URL, and nothing of it", async () => {
    server = await startMailServer();
    const good = { host: "mail.example.com", params };
    const wrong: [Parameters<typeof outletUrl>[0], string][] = [
      [{ ...good, host: "" }, "the host is missing"],
      [{ ...good, params: { to: "a@b.c" } }, "from is missing"],
      [{ ...good, params: { from: "a@b.c" } }, "to is missing"],
      [{ ...good, params: { ...params, to: "a@b.c\r\nBcc: x@y.z" } }, "to is malformed"],
      [{ ...good, user: "ops" }, "the user has no password"],
      [
        { ...good, user: "ops", password: PASSWORD, params: { ...params, tls: "off" } },
        "tls=off would send the password in the clear",
      ],
    ];
    for (const [parts, message] of wrong) {
      expect(() => smtp.open(outletUrl(parts), outletDeps())).toThrow(new OutletUrlError(message));
    }
  });
});
