import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOffer } from "../../src/http/downloads/offered.ts";
import { call, TOKEN_ACCESS, testApp } from "../support/http-app.ts";
import { until } from "../support/until.ts";

const PATH = "/download/opspilot-linux-arm64";
/** More than sockets take by themselves. */
const SIZE_BYTES = 24 * 2 ** 20;
const DOWNLOADS_MAX = 16;

let folder = "";
let bytes = new Uint8Array();
let digest = "";
let url = "";
let stop: () => Promise<void>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "opspilot-downloads-"));
  bytes = new Uint8Array(SIZE_BYTES).map((_, at) => (at * 7 + (at >> 8)) % 251);
  digest = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  await Bun.write(join(folder, "opspilot-linux-arm64"), bytes);
  const { app } = testApp({ findExecutable: createOffer({ own: undefined, folder }) }, { access: TOKEN_ACCESS });
  app.listen({ port: 0, hostname: "127.0.0.1" });
  url = `http://127.0.0.1:${app.server?.port}`;
  stop = async () => void (await app.server?.stop(true));
});
afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true });
});

async function get(path: string, headers: Record<string, string> = {}, method = "GET") {
  const response = await fetch(url + path, { method, headers });
  return { status: response.status, headers: response.headers, body: Buffer.from(await response.bytes()) };
}

describe("GET /download", () => {
  test("gives an executable and its checksum to whoever asks, and says what it is without a body to HEAD", async () => {
    const whole = await get(PATH);
    expect([whole.status, Buffer.compare(whole.body, bytes)]).toEqual([200, 0]);
    expect(Object.fromEntries(whole.headers)).toMatchObject({
      "accept-ranges": "bytes",
      etag: `"${digest}"`,
      "content-type": "application/octet-stream",
      "x-content-type-options": "nosniff",
    });
    const checksum = await get(`${PATH}.sha256`);
    expect(checksum.body.toString()).toBe(`${digest}  opspilot-linux-arm64\n`);
    const head = await get(PATH, {}, "HEAD");
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(head.headers.get("content-length")).toBe(String(SIZE_BYTES));
    expect(head.headers.get("etag")).toBe(`"${digest}"`);
  });

  test.each<[string, Record<string, string>, number, [number, number]]>([
    ["a part", { range: "bytes=10-19" }, 206, [10, 20]],
    ["the rest", { range: `bytes=${SIZE_BYTES - 5}-` }, 206, [SIZE_BYTES - 5, SIZE_BYTES]],
    ["the end", { range: "bytes=-7" }, 206, [SIZE_BYTES - 7, SIZE_BYTES]],
    ["more than there is", { range: `bytes=${SIZE_BYTES - 1}-${SIZE_BYTES * 2}` }, 206, [SIZE_BYTES - 1, SIZE_BYTES]],
    ["several parts: all", { range: "bytes=0-1,5-6" }, 200, [0, SIZE_BYTES]],
    ["a part of another version: all", { range: "bytes=5-9", "if-range": '"other"' }, 200, [0, SIZE_BYTES]],
  ])("gives %s", async (_, headers, status, [start, end]) => {
    const answer = await get(PATH, headers);
    expect([answer.status, Buffer.compare(answer.body, bytes.subarray(start, end))]).toEqual([status, 0]);
    if (status === 206) expect(answer.headers.get("content-range")).toBe(`bytes ${start}-${end - 1}/${SIZE_BYTES}`);
  });

  test("says where there is nothing to give", async () => {
    expect((await get(PATH, { "if-none-match": `"${digest}"` })).status).toBe(304);
    const beyond = await get(PATH, { range: `bytes=${SIZE_BYTES}-` });
    expect([beyond.status, beyond.headers.get("content-range")]).toEqual([416, `bytes */${SIZE_BYTES}`]);
    const app = testApp({}, { access: TOKEN_ACCESS });
    const unknown = await call(app, "GET", "/download/..%2Fetc%2Fpasswd");
    expect([unknown.status, unknown.json.code]).toEqual([404, "not_found"]);
    for (const path of [PATH, `${PATH}.sha256`]) {
      const { status, json } = await call(app, "GET", path);
      expect([status, json.code]).toEqual([404, "not_offered"]);
      expect(json.detail).toContain("bun run build --target linux-arm64");
    }
    const headers = { origin: "https://elsewhere.example" };
    expect((await call(app, "GET", PATH, { headers })).json.code).toBe("foreign_origin");
  });

  test("gives its own file as the one for its platform, whatever its name leads to by now", async () => {
    const offer = createOffer({ own: "linux-x64", folder });
    const offered = await offer("linux-x64");
    const own = Bun.file(process.execPath);
    expect(offered?.sizeBytes).toBe(own.size);
    expect(offered?.digest).toBe(new Bun.CryptoHasher("sha256").update(await own.bytes()).digest("hex"));
    await offered?.file.close();
  });

  test("tells the checksum of a file that was put in place of another", async () => {
    const path = join(folder, "opspilot-linux-x64-baseline");
    const checksum = async () => (await get("/download/opspilot-linux-x64-baseline.sha256")).body.toString();
    await Bun.write(path, "one");
    const before = await checksum();
    await Bun.write(`${path}.new`, "two");
    await rename(`${path}.new`, path);
    expect(await checksum()).not.toBe(before);
    expect((await get("/download/opspilot-linux-x64-baseline")).body.toString()).toBe("two");
  });

  test("has a bound on how many download at a time, which those that are cut off make room in", async () => {
    const sockets = await Promise.all(Array.from({ length: DOWNLOADS_MAX }, () => halfway(url)));
    try {
      const busy = await get(PATH);
      expect([busy.status, busy.headers.get("retry-after")]).toEqual([503, "30"]);
      expect((await get(`${PATH}.sha256`)).status).toBe(200);
      expect((await get(PATH, {}, "HEAD")).status).toBe(200);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    const isFree = async () => (await get(PATH, { range: "bytes=0-0" })).status === 206;
    await until(isFree, { ms: 60_000, what: "there is room again" });
    const answers = await Promise.all(Array.from({ length: DOWNLOADS_MAX }, () => get(PATH)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: DOWNLOADS_MAX }, () => 200));
  }, 120_000);
});

/** A client that has read the beginning of the answer, and takes no more. */
function halfway(address: string): Promise<Socket> {
  const { hostname, port } = new URL(address);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(`GET ${PATH} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
    });
    socket.once("error", reject);
    socket.once("data", () => {
      socket.pause();
      resolve(socket);
    });
  });
}
