import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { decodePayload } from "../../src/protocol/decode.ts";
import { encodeData, encodeFrame, encodeServerFrame } from "../../src/protocol/encode.ts";
import type { Envelope, FrameType } from "../../src/protocol/frames.ts";
import { LOGS_BYTES_MAX, OUTPUT_BYTES_MAX } from "../../src/protocol/limits.ts";
import { alertOf, decodedEnvelope, gzipped } from "../support/frames.ts";

const COMMAND_ID = "0190f5b0-7f57-7aaa-8bbb-0123456789ab";
const base64 = (text: string | Uint8Array) => Buffer.from(text).toString("base64");

function decode(type: FrameType, data: string, compression: Envelope["compression"] = "none") {
  return decodePayload(decodedEnvelope({ type, data, compression }));
}

/** The payload itself, when it is good. */
function payloadOf(type: FrameType, value: unknown): Record<string, unknown> {
  const decoded = decode(type, gzipped(value), "gzip");
  if (!decoded.ok) throw new Error(decoded.message);
  const { payload } = decoded;
  return { ...(payload as unknown as Record<string, Record<string, unknown>>)[type] };
}

describe("data", () => {
  const json = JSON.stringify(alertOf());
  const good: [string, string, "none" | "gzip"][] = [
    ["plain JSON", json, "none"],
    ["plain JSON after white space", ` \r\n\t${json}\n`, "none"],
    ["base64 of JSON", base64(json), "none"],
    ["base64 of JSON with a byte order mark", base64(`\ufeff${json}`), "none"],
    ["gzip", base64(Bun.gzipSync(Buffer.from(json))), "gzip"],
    ["gzip of several members", base64(Buffer.concat([gzipSync(json.slice(0, 9)), gzipSync(json.slice(9))])), "gzip"],
  ];
  test.each(good)("may be %s", (_, data, compression) => {
    expect(decode("alert", data, compression)).toMatchObject({
      ok: true,
      payload: { type: "alert", alert: alertOf() },
    });
  });

  test("may be empty for a heartbeat only", () => {
    for (const compression of ["none", "gzip"] as const) {
      expect(decode("heartbeat", "", compression)).toMatchObject({ ok: true, payload: { heartbeat: {} } });
      expect(decode("alert", "", compression).ok).toBe(false);
      expect(decode("result", "", compression).ok).toBe(false);
    }
  });

  const bad: [string, string, "none" | "gzip", string][] = [
    ["no base64", "%%%", "none", "bad_base64"],
    ["base64 without its padding", "e30", "none", "bad_base64"],
    ["base64 with bits left over", "e31=", "none", "bad_base64"],
    ["URL-safe base64", "-__-", "none", "bad_base64"],
    ["plain JSON that claims to be gzip", json, "gzip", "bad_base64"],
    ["base64 of JSON that claims to be gzip", base64(json), "gzip", "bad_gzip"],
    ["gzip that claims to be none", base64(gzipSync(json)), "none", "bad_payload"],
    ["gzip with junk after it", base64(Buffer.concat([gzipSync(json), Buffer.from("junk")])), "gzip", "bad_gzip"],
    ["no UTF-8", base64(Buffer.from([0x7b, 0xff, 0x7d])), "none", "bad_payload"],
    ["an encoded surrogate", base64(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])), "none", "bad_payload"],
    ["no JSON", base64("hello"), "none", "bad_payload"],
    ["a JSON array", base64("[]"), "none", "bad_payload"],
    ["JSON null", base64("null"), "none", "bad_payload"],
    ["nesting that would break a parser", base64("[".repeat(300_000)), "none", "too_large"],
  ];
  test.each(bad)("may not be %s", (_, data, compression, reason) => {
    expect(decode("alert", data, compression)).toMatchObject({ ok: false, reason: reason as never });
  });

  test("is bounded after decompression, by type", () => {
    const spaces = (bytes: number) => base64(gzipSync(Buffer.concat([Buffer.alloc(bytes, " "), Buffer.from("{}")])));
    expect(decode("heartbeat", spaces(2 ** 20 - 2), "gzip").ok).toBe(true);
    expect(decode("heartbeat", spaces(2 ** 20 - 1), "gzip")).toMatchObject({ reason: "too_large" });
    expect(decode("result", spaces(2 ** 20 - 1), "gzip")).toMatchObject({ reason: "too_large" });
    expect(decode("alert", spaces(2 ** 23 - 2), "gzip")).toMatchObject({ reason: "bad_payload" });
    expect(decode("alert", spaces(2 ** 23 - 1), "gzip")).toMatchObject({ reason: "too_large" });
  });

  test("has at most 10,000 values, short or long", () => {
    // An object, two keys, two values and an array: six, and what is in it.
    const of = (values: number, filler: string) =>
      decode("heartbeat", gzipped({ filler, services: Array.from({ length: values }, () => 1) }), "gzip");
    for (const filler of ["", "x".repeat(200_000)]) {
      expect(of(9_994, filler).ok).toBe(true);
      expect(of(9_996, filler)).toMatchObject({ reason: "too_large", message: "data: Expected at most 10000 values" });
    }
  });

  test("is as deep as 32, short or long", () => {
    const nested = (levels: number) => JSON.parse("[".repeat(levels) + "]".repeat(levels));
    for (const filler of ["", "x".repeat(200_000), '\\"[[[[{{{{'.repeat(50)]) {
      expect(decode("heartbeat", gzipped({ filler, services: nested(31) }), "gzip").ok).toBe(true);
      expect(decode("heartbeat", gzipped({ filler, services: nested(32) }), "gzip")).toMatchObject({
        reason: "too_large",
      });
    }
  });
});

describe("an alert", () => {
  test("keeps what it knows, and nothing else", () => {
    const full = alertOf({
      logs: "error logs",
      exit_code: -1,
      severity: "warning",
      state: "resolved",
      at: 1706140000.5,
      hostname: "web-1",
    });
    expect(payloadOf("alert", { ...full, unknown: { a: 1 } })).toEqual(full);
    const absent = { logs: null, exit_code: null, severity: null, state: null, at: null, hostname: null };
    expect(Object.keys(payloadOf("alert", { ...alertOf(), ...absent }))).toEqual(["type", "source", "message"]);
  });

  const bad: [Record<string, unknown>, string][] = [
    [{ exit_code: "x" }, "exit_code: Expected integer"],
    [{ exit_code: 1.5 }, "exit_code: Expected integer"],
    [{ exit_code: 2147483648 }, "exit_code: Expected integer to be less or equal to 2147483647"],
    [{ severity: "fatal" }, "severity: Expected one of info, warning, critical"],
    [{ state: "open" }, "state: Expected one of firing, resolved"],
    [{ type: "" }, "type: Expected string length greater or equal to 1"],
    [{ type: "x".repeat(51) }, "type: Expected string length less or equal to 50"],
    [{ source: "x".repeat(256) }, "source: Expected string length less or equal to 255"],
    [{ source: undefined }, "source: Expected required property"],
    [{ message: null }, "message: Expected required property"],
    [{ message: "\0\0" }, "message: Expected string length greater or equal to 1"],
    [{ logs: ["a"] }, "logs: Expected string"],
    [{ at: "yesterday" }, "at: Expected number"],
  ];
  test.each(bad)("%j: %s", (changes, message) => {
    expect(decode("alert", gzipped(alertOf(changes)), "gzip")).toEqual({ ok: false, reason: "bad_payload", message });
  });

  test("may have a message of exactly 8 KiB", () => {
    expect(payloadOf("alert", alertOf({ message: "ä".repeat(4096) })).message).toBe("ä".repeat(4096));
  });

  test.each(["x".repeat(8193), "ä".repeat(4097), "begin ".repeat(200_000)])(
    "is not lost for a message that is too long: its head and tail are kept",
    (message) => {
      const kept = String(payloadOf("alert", alertOf({ message })).message);
      expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(8192);
      expect(kept).toContain("bytes left out");
      expect([kept.slice(0, 1_000), kept.slice(-1_000)]).toEqual([message.slice(0, 1_000), message.slice(-1_000)]);
    },
  );

  test("keeps head and tail of long logs, within the limit, no character cut in two", () => {
    expect(payloadOf("alert", alertOf({ logs: "x".repeat(LOGS_BYTES_MAX) })).logs).toHaveLength(LOGS_BYTES_MAX);
    for (const filler of ["x", "ä", "€", "🦊"]) {
      const { logs } = payloadOf("alert", alertOf({ logs: `first${filler.repeat(400_000)}last` })) as { logs: string };
      expect(Buffer.byteLength(logs)).toBeLessThanOrEqual(LOGS_BYTES_MAX);
      expect(Buffer.byteLength(logs)).toBeGreaterThan(LOGS_BYTES_MAX - 64);
      expect(logs.isWellFormed()).toBe(true);
      expect(logs).not.toContain("\ufffd");
      const [, head, missing, tail] = /^(first.*)\n\[\.\.\. (\d+) bytes left out \.\.\.\]\n(.*last)$/u.exec(logs) ?? [];
      const whole = Buffer.byteLength(`first${filler.repeat(400_000)}last`);
      expect(Buffer.byteLength(`${head}${tail}`) + Number(missing)).toBe(whole);
    }
  });

  test("counts with what it keeps", () => {
    const whole = decode("alert", gzipped(alertOf({ logs: "x".repeat(1000) })), "gzip");
    const cut = decode("alert", gzipped(alertOf({ logs: "x".repeat(5_000_000) })), "gzip");
    expect(whole.ok && whole.sizeBytes).toBe(JSON.stringify(alertOf({ logs: "x".repeat(1000) })).length);
    expect(cut.ok && cut.sizeBytes).toBeLessThan(LOGS_BYTES_MAX + 100);
  });
});

describe("text", () => {
  test("loses NUL and lone surrogates, in keys too, however it is sent", () => {
    const json = '{"type":"a\\u0000b","source":"x\\ud800y","message":"\\udc00🦊🦊","logs":"\\ud83d\\ude00"}';
    const clean = { type: "ab", source: "x\ufffdy", message: "\ufffd🦊🦊", logs: "😀" };
    expect(decode("alert", json)).toMatchObject({ payload: { alert: clean } });
    expect(decode("alert", base64(json))).toMatchObject({ payload: { alert: clean } });
    expect(decode("alert", base64(gzipSync(json)), "gzip")).toMatchObject({ payload: { alert: clean } });
    const heartbeat = '{"services":[{"na\\u0000me":["\\u0000",{"\\udfff":"\\ud800"}]}],"__proto__":{"\\u0000":1}}';
    const decoded = decode("heartbeat", base64(heartbeat));
    expect(JSON.stringify(decoded.ok && decoded.payload.type === "heartbeat" && decoded.payload.heartbeat)).toBe(
      '{"services":[{"name":["",{"\ufffd":"\ufffd"}]}],"__proto__":{"":1}}',
    );
  });

  test("that only the envelope escaped is clean as well", () => {
    expect(decode("alert", JSON.stringify(alertOf()).replace("crashed", "cra\ud800shed"))).toMatchObject({
      payload: { alert: { message: "nginx cra\ufffdshed" } },
    });
    expect(decode("alert", JSON.stringify(alertOf()).replace("crashed", "cra\0shed")).ok).toBe(false);
  });
});

describe("a heartbeat", () => {
  test("keeps unknown keys, and loses nulls", () => {
    const metrics = { cpu_pct: 1.5, mem_used_bytes: 5, disks: [{ mount: "/", used_bytes: 1, total_bytes: 2 }] };
    const heartbeat = { hostname: "web-1", metrics, allow: ["restart_service:nginx"], region: { zone: null } };
    const nulls = { os: null, rack: null, metrics: { ...metrics, load1: null } };
    expect(payloadOf("heartbeat", { ...heartbeat, ...nulls })).toEqual(heartbeat);
  });

  test("says what each collector sees, of a later version more than is known here", () => {
    const collectors = {
      docker: { state: "cannot", for_s: 12.5, why: "no answer", gave_up: ["3 containers"], told: true },
      host: { state: "sees", for_s: 0, later: 1 },
    };
    const nulls = { ...collectors, host: { ...collectors.host, why: null } };
    expect(payloadOf("heartbeat", { collectors: nulls })).toEqual({ collectors });
    expect(payloadOf("heartbeat", { collectors: null })).toEqual({});
  });

  const sees = { state: "sees", for_s: 1 };
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`c${n}`, sees]));
  const bad: [Record<string, unknown>, string][] = [
    [{ collectors: "all" }, "collectors: Expected object"],
    [{ collectors: [sees] }, "collectors: Expected object"],
    [{ collectors: { docker: 1 } }, "collectors.docker: Expected object"],
    [
      { collectors: { docker: { ...sees, state: "blind" } } },
      "collectors.docker.state: Expected one of sees, cannot, absent",
    ],
    [{ collectors: { docker: { state: "sees" } } }, "collectors.docker.for_s: Expected required property"],
    [{ collectors: { "a b": sees } }, "collectors.a b: Unexpected property"],
    [{ collectors: many(21) }, "collectors: Expected object to have no more than 20 properties"],
    [{ hostname: "x".repeat(256) }, "hostname: Expected string length less or equal to 255"],
    [{ uptime_s: -1 }, "uptime_s: Expected number to be greater or equal to 0"],
    [{ metrics: 5 }, "metrics: Expected object"],
    [{ metrics: { disks: [{ mount: "/" }] } }, "metrics.disks.0.used_bytes: Expected required property"],
    [{ allow: "everything" }, "allow: Expected array"],
  ];
  test.each(bad)("%j: %s", (changes, message) => {
    expect(decode("heartbeat", gzipped(changes), "gzip")).toEqual({ ok: false, reason: "bad_payload", message });
  });
});

describe("a result", () => {
  test("keeps what it knows; output is cut", () => {
    const result = { command_id: COMMAND_ID, status: "failed", exit_code: 3, error: "no such unit", duration_ms: 12.5 };
    expect(payloadOf("result", { ...result, finished_at: null, extra: 1 })).toEqual(result);
    const { output } = payloadOf("result", { ...result, output: "x".repeat(100_000) }) as { output: string };
    expect(output.length).toBeLessThanOrEqual(OUTPUT_BYTES_MAX);
    expect(output).toContain("bytes left out");
  });

  test.each([
    [{ command_id: "7" }, "command_id: Expected string to match"],
    [{ command_id: undefined }, "command_id: Expected required property"],
    [{ status: "sent" }, "status: Expected one of done, failed, rejected"],
  ])("%j: %s", (changes, message) => {
    const decoded = decode("result", gzipped({ command_id: COMMAND_ID, status: "done", ...changes }), "gzip");
    expect(decoded).toMatchObject({ ok: false, reason: "bad_payload" });
    expect(!decoded.ok && decoded.message).toStartWith(message);
  });
});

describe("the encoder", () => {
  test("makes what the decoder reads", () => {
    for (const compression of ["none", "gzip"] as const) {
      const frame = {
        ver: "1.1",
        ts: 1706140800,
        token: "my-secret-token",
        type: "alert",
        id: "a1",
        compression,
      } as const;
      const text = encodeFrame({ ...frame, payload: alertOf() });
      expect(JSON.parse(text)).toEqual({ ...frame, data: encodeData(alertOf(), compression) });
      expect(decodePayload(JSON.parse(text))).toMatchObject({ ok: true, payload: { alert: alertOf() } });
    }
  });

  test("writes the server's frames", () => {
    expect(JSON.parse(encodeServerFrame({ type: "ack", id: 'a"\ud800\n' }))).toEqual({ type: "ack", id: 'a"\ud800\n' });
    const error = { type: "error", code: "bad_gzip", message: "no", id: "x" } as const;
    expect(JSON.parse(encodeServerFrame(error))).toEqual(error);
  });
});
