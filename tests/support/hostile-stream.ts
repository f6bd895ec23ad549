import fc from "fast-check";
import { FRAME_ERRORS } from "../../src/protocol/frames.ts";
import { TestAgent } from "./agent.ts";
import { type FuzzOptions, hostileMessage } from "./hostile-frames.ts";
import { until } from "./until.ts";

/** Sent on one socket, if it lives for as long. */
const BATCH = 50;
/** Closed for what was sent: too large, no token, too many bad frames; and for what a later socket of the same agent does. */
const CODES = [1007, 1008, 1009, 4409];

/**
 * Sends whatever on sockets of strangers and of an agent; throws what fast-check says of the first batch after which the server
 * answers by what is no frame of the protocol, closes without a reason, or does not serve the agent any more.
 */
export async function fuzzStream(url: string, token: string, { cases, seed }: FuzzOptions): Promise<number> {
  const streamUrl = `${url.replace("http", "ws")}/v1/stream`;
  let sent = 0;
  const batch = fc.record({
    isAgent: fc.boolean(),
    messages: fc.array(hostileMessage, { minLength: 1, maxLength: BATCH }),
  });
  const property = fc.asyncProperty(batch, async ({ isAgent, messages }) => {
    const socket = await TestAgent.connect(streamUrl);
    if (isAgent) await greet(socket, token, "first");
    for (const message of messages) {
      if (socket.closed === undefined) socket.send(message);
      sent++;
    }
    if (isAgent) await greet(socket, token, "last");
    check(socket);
    await socket.close();
  });
  await fc.assert(property, { numRuns: Math.ceil(cases / (BATCH / 5)), ...(seed === undefined ? {} : { seed }) });
  return sent;
}

/** A heartbeat that is answered, unless the socket was closed before. */
async function greet(socket: TestAgent, token: string, id: string): Promise<void> {
  if (socket.closed === undefined) socket.send({ ver: "1.1", id, token });
  const isAnswered = () => socket.frames.some((frame) => frame.type === "ack" && frame.id === id);
  await until(() => isAnswered() || socket.closed !== undefined, { what: `the heartbeat ${id} is answered` });
}

function check({ frames, closed }: TestAgent): void {
  for (const frame of frames) {
    if (frame.type !== "error") continue;
    if (!FRAME_ERRORS.includes(frame.code)) throw new Error(`an error of no kind: ${JSON.stringify(frame)}`);
  }
  if (closed !== undefined && !CODES.includes(closed.code))
    throw new Error(`closed by ${closed.code}: ${closed.reason}`);
}
