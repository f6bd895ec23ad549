/** The SharedWorker: reads the stream once for all tabs of this browser. */

import { type Connection, type StreamClient, startStream } from "./data/stream-client.ts";
import type { PageWord, WorkerWord } from "./data/stream-link.ts";

const ports = new Set<MessagePort>();
const known: { connection?: Connection; stream?: StreamClient } = {};

addEventListener("connect", (event) => {
  const [port] = (event as MessageEvent).ports;
  if (port === undefined) return;
  ports.add(port);
  port.onmessage = ({ data }: MessageEvent<PageWord>) => {
    if (data === "retry") known.stream?.retry();
    else leave(port);
  };
  if (known.connection) port.postMessage({ connection: known.connection } satisfies WorkerWord);
  known.stream ??= startStream({
    fetch: (path, init) => fetch(path, init),
    onNews: (news) => tell({ news }),
    onConnection(connection) {
      known.connection = connection;
      tell({ connection });
    },
  });
});

function tell(word: WorkerWord): void {
  for (const port of ports) port.postMessage(word);
}

/** A worker outlives its last page for a moment: by then nobody needs the stream. */
function leave(port: MessagePort): void {
  ports.delete(port);
  port.close();
  if (ports.size > 0) return;
  known.stream?.stop();
  delete known.stream;
  delete known.connection;
}
