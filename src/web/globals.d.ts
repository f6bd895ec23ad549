/** The address of the built stream-worker.ts, which the build writes in. */
declare const STREAM_WORKER_URL: string;

interface Window {
  /** TypeScript's library does not know it yet; some browsers have none. */
  readonly trustedTypes?: {
    createPolicy(
      name: string,
      rules: { createScriptURL(url: string): string },
    ): {
      createScriptURL(url: string): string;
    };
  };
}

declare module "*.css";

/** The file's address. */
declare module "*.svg" {
  const url: string;
  export default url;
}
