import type { News } from "./model.ts";
import { type Connection, type StreamClient, startStream } from "./stream-client.ts";

/** What the worker tells a page. */
export type WorkerWord = { news: News } | { connection: Connection };
/** What a page tells the worker. */
export type PageWord = "retry" | "bye";

interface StreamLinkDeps {
  fetch: (path: string, init: RequestInit) => Promise<Response>;
  /** Of the script that reads the stream for all tabs of this browser. */
  workerUrl: string;
  onNews: (news: News) => void;
  onConnection: (connection: Connection) => void;
}

/**
 * The page's end of the stream: one SharedWorker reads for all tabs, since over HTTP/1.1 a browser opens six connections at most to a
 * server, and a stream in each tab would take them all. Where there are no such workers (Chrome on Android), the page reads itself.
 */
export function linkStream({ fetch, workerUrl, onNews, onConnection }: StreamLinkDeps): StreamClient {
  let link: StreamClient;
  const readHere = () => startStream({ fetch, onNews, onConnection });
  if (typeof SharedWorker === "undefined") return readHere();

  function readThere(): StreamClient {
    const worker = new SharedWorker(trusted(workerUrl) as unknown as string, {
      type: "module",
      name: "opspilot-stream",
    });
    const say = (word: PageWord) => worker.port.postMessage(word);
    worker.port.onmessage = ({ data }: MessageEvent<WorkerWord>) => {
      if ("news" in data) onNews(data.news);
      else onConnection(data.connection);
    };
    worker.onerror = () => {
      worker.port.close();
      link = readHere();
    };
    return { retry: () => say("retry"), stop: () => say("bye") };
  }

  link = readThere();
  return { retry: () => link.retry(), stop: () => link.stop() };
}

interface TrustedPolicy {
  createScriptURL(url: string): unknown;
}
interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): TrustedPolicy;
}

/** The one place where an address becomes a script: our own worker's, which is no text of anybody's. */
function trusted(url: string): unknown {
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  if (types === undefined) return url;
  const createScriptURL = (asked: string) => {
    if (new URL(asked, location.href).origin !== location.origin) throw new TypeError("only scripts of this server");
    return asked;
  };
  return types.createPolicy("opspilot", { createScriptURL }).createScriptURL(url);
}
