import { Writable } from "node:stream";
import type { Config } from "../config.ts";
import { ExitCode, errorCode, errorMessage, StartupError } from "../lib/errors.ts";
import type { Place } from "./place.ts";

/** S3 takes 10,000 parts: enough for 80 GiB. */
const PART_BYTES = 8 * 1024 * 1024;
const RETRIES = 3;

/** What tells an address of S3 from a path. */
export const S3_ADDRESS = /^s3:\/\//;

/** An object in S3, or in what speaks its protocol. Throws a StartupError where a part of the address, or a credential, is missing. */
export function s3Place(
  address: string,
  { accessKeyId, secretAccessKey, sessionToken, region, endpoint }: Config["s3"],
): Place {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.*[^/])$/.exec(address) ?? [];
  if (bucket === undefined || key === undefined)
    throw new StartupError(`${address}: expected s3://bucket/key`, ExitCode.usage);
  if (accessKeyId === null || secretAccessKey === null)
    throw new StartupError(`${address} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`, ExitCode.config);
  const client = new Bun.S3Client({
    bucket,
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === null ? {} : { sessionToken }),
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
  });
  const file = client.file(key);
  const failed = (error: unknown) =>
    new StartupError(`${address}: ${errorMessage(error)} (${errorCode(error)})`, ExitCode.unavailable, {
      cause: error,
    });
  return {
    name: address,
    async write(fill) {
      const writer = file.writer({ partSize: PART_BYTES, queueSize: 1, retry: RETRIES, type: "application/zstd" });
      await fill(
        inParts(async (part) => {
          await writer.write(part);
          await writer.flush();
        }, failed),
      );
      // The object is there by this alone: ending with an error would make one, too.
      await Promise.resolve(writer.end()).catch((error) => {
        throw failed(error);
      });
    },
    async *read() {
      try {
        for await (const chunk of file.stream()) yield chunk;
      } catch (error) {
        throw failed(error);
      }
    },
  };
}

/** All parts but the last must be large. */
function inParts(send: (part: Uint8Array) => Promise<void>, failed: (error: unknown) => Error): Writable {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  function flush(done: (error?: Error) => void): void {
    const part = Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
    send(part).then(
      () => done(),
      (error) => done(failed(error)),
    );
  }
  return new Writable({
    write(chunk: Uint8Array, _, done) {
      waiting.push(chunk);
      bytes += chunk.length;
      if (bytes < PART_BYTES) done();
      else flush(done);
    },
    final: flush,
  });
}
