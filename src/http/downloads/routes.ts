import { Elysia } from "elysia";
import type { Clock } from "../../lib/clock.ts";
import { DOWNLOAD_PATH, executableName, INSTALL_PATH, PLATFORMS, type Platform } from "../../protocol/platforms.ts";
import { ROLE_FIELD } from "../../protocol/roles.ts";
import { type OwnAddress, ownAddress } from "../own-address.ts";
import { HttpProblem } from "../problems.ts";
import { installScript } from "./install-script.ts";
import { type FindOffered, type Offered, piecesOf } from "./offered.ts";
import { partOf } from "./range.ts";

/** Each holds a file and a connection; who comes later is told when to come again, as scripts and agents do. */
const DOWNLOADS_MAX = 16;
const RETRY_AFTER_S = 30;
/** 148 MB by 0.7 Mbit/s. Who is slower goes on from there by Range. */
const DOWNLOAD_LIMIT_MS = 30 * 60_000;

const CHECKSUM_SUFFIX = ".sha256";

export interface DownloadDeps {
  readonly find: FindOffered;
  readonly config: OwnAddress;
  readonly clock: Pick<Clock, "monotonicMs">;
}

/** Whether the path is one of those by which agents are installed and kept up to date. */
export function isDownloadPath(path: string): boolean {
  return path === INSTALL_PATH || path.startsWith(`${DOWNLOAD_PATH}/`);
}

/**
 * Executables with their checksums, and the script that installs an agent. They are for everybody: nothing in them is secret, a host has no
 * more than a token that is not the API's, and any proxy may keep them. So their number at a time is bounded.
 */
export function downloadRoutes({ find, config, clock }: DownloadDeps) {
  let running = 0;

  async function answer(request: Request, name: string): Promise<Response> {
    const isChecksum = name.endsWith(CHECKSUM_SUFFIX);
    const file = isChecksum ? name.slice(0, -CHECKSUM_SUFFIX.length) : name;
    const platform = PLATFORMS.find((one) => executableName(one) === file);
    if (platform === undefined) throw noSuchFile();
    const offered = await find(platform);
    if (offered === undefined) throw notOffered(platform);
    if (!isChecksum) return sendFile(request, offered, file);
    await offered.file.close();
    return new Response(`${offered.digest}  ${file}\n`, { headers: { "content-type": "text/plain;charset=utf-8" } });
  }

  async function sendFile(request: Request, offered: Offered, name: string): Promise<Response> {
    const { headers } = request;
    const { sizeBytes, digest } = offered;
    const etag = `"${digest}"`;
    const about = {
      etag,
      "accept-ranges": "bytes",
      "cache-control": "no-cache",
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename="${name}"`,
    };
    const condition = headers.get("if-range");
    const part = condition === null || condition === etag ? partOf(headers.get("range"), sizeBytes) : undefined;
    const isKnown = headers.get("if-none-match")?.includes(etag) === true;
    if (isKnown || part === "none" || request.method === "HEAD") {
      await offered.file.close();
      if (isKnown) return new Response(null, { status: 304, headers: about });
      if (part === "none") throw outOfRange(sizeBytes);
      // Elysia reads any other body to know its length.
      return new Response(Bun.file(offered.path), { headers: about });
    }
    const { start, end } = part ?? { start: 0, end: sizeBytes };
    const body = await stream(offered, start, end);
    if (part === undefined) return new Response(body, { headers: about });
    const headersOfPart = { ...about, "content-range": `bytes ${start}-${end - 1}/${sizeBytes}` };
    return new Response(body, { status: 206, headers: headersOfPart });
  }

  async function stream({ file }: Offered, start: number, end: number): Promise<ReadableStream> {
    if (running >= DOWNLOADS_MAX) {
      await file.close();
      const headers = { "retry-after": String(RETRY_AFTER_S) };
      throw new HttpProblem(503, "busy", `${DOWNLOADS_MAX} downloads are under way; try again later`, { headers });
    }
    running++;
    const pieces = piecesOf(file, start, end);
    const endMs = clock.monotonicMs() + DOWNLOAD_LIMIT_MS;
    let isOver = false;
    const over = async () => {
      if (isOver) return;
      isOver = true;
      running--;
      await pieces.return(undefined);
      await file.close();
    };
    // Read as fast as it is taken: a slow client costs no memory. Bun sends it in chunks, whatever length is named.
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          try {
            if (clock.monotonicMs() > endMs) throw new Error("the download takes too long");
            const { done, value } = await pieces.next();
            if (!done) return controller.enqueue(value);
            await over();
            controller.close();
          } catch (error) {
            await over();
            throw error;
          }
        },
        cancel: over,
      },
      { highWaterMark: 0 },
    );
  }

  const detail = (summary: string) => ({ summary, tags: ["system"], [ROLE_FIELD]: "everybody" as const, hide: true });
  return new Elysia({ name: "downloads", normalize: false })
    .get(`${DOWNLOAD_PATH}/:name`, ({ request, params }) => answer(request, params.name), {
      detail: detail("An executable, or its checksum"),
    })
    .get(
      INSTALL_PATH,
      ({ request }) =>
        new Response(installScript(ownAddress(request, config)), {
          headers: { "content-type": "text/plain;charset=utf-8" },
        }),
      { detail: detail("The script that installs an agent") },
    );
}

function noSuchFile(): HttpProblem {
  const names = PLATFORMS.map(executableName).join(", ");
  return new HttpProblem(404, "not_found", `there are ${names}, each with ${CHECKSUM_SUFFIX} beside it`);
}

function notOffered(platform: Platform): HttpProblem {
  const todo = `\`bun run build --target ${platform}\` makes it, and DOWNLOADS_DIR names the folder of ${executableName(platform)}`;
  return new HttpProblem(404, "not_offered", `this server has no executable for ${platform}: ${todo}`);
}

function outOfRange(sizeBytes: number): HttpProblem {
  const headers = { "content-range": `bytes */${sizeBytes}` };
  return new HttpProblem(416, "out_of_range", `the file has ${sizeBytes} bytes`, { headers });
}
