import { join } from "node:path";
import { freePort } from "./executable.ts";
import { until } from "./until.ts";

const SERVER = join(import.meta.dir, "../../node_modules/s3rver/bin/s3rver.js");

/** A server that speaks S3's protocol, as a process of its own, with a bucket `backups`; both parts of its key are "S3RVER". */
export async function startS3(directory: string): Promise<{ endpoint: string; stop(): Promise<void> }> {
  const port = String(await freePort());
  const words = ["--address", "127.0.0.1", "--port", port, "--directory", directory, "--configure-bucket", "backups"];
  const child = Bun.spawn([process.execPath, SERVER, ...words], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const endpoint = `http://127.0.0.1:${port}`;
  const answers = () => {
    if (child.exitCode !== null) throw new Error("the S3 server ended");
    return fetch(endpoint, { keepalive: false }).then(
      () => true,
      () => false,
    );
  };
  await until(answers, { ms: 20_000, what: "the S3 server answers" });
  return {
    endpoint,
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}
