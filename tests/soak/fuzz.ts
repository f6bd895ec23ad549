import { errorMessage } from "../../src/lib/errors.ts";
import { fuzzEnvelopes, fuzzPayloads } from "../support/hostile-frames.ts";
import { fuzzRoutes, prepareTarget, readRoutes } from "../support/hostile-routes.ts";
import { fuzzStream } from "../support/hostile-stream.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { residentBytes } from "../support/processes.ts";
import { rest } from "../support/rest.ts";
import { ServedExecutable } from "./served.ts";

/** How much of it: cases of the decoder, of each route, and frames over sockets. */
export interface FuzzPlan {
  readonly cases: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
  readonly tell?: (text: string) => void;
}

/** What was tried; `wrong` has the first thing of each kind that was not as promised, with what brings it about again. */
export interface FuzzOutcome {
  readonly decoded: number;
  readonly requests: number;
  readonly routes: number;
  readonly frames: number;
  readonly memoryMibBefore: number;
  readonly memoryMibAfter: number;
  readonly wrong: readonly string[];
}

const MIB = 2 ** 20;
/** Of frames over sockets so much less: the decoder has seen as many by itself. */
const FRAMES_PART = 2;
/** A server that was asked millions of things is not larger by more than this. */
const GROWTH_MIB_MAX = 512;

/** Tries hostile input on the decoder in this process, and on each route and the stream of the executable. */
export async function runFuzz({ cases, seed, signal, tell }: FuzzPlan): Promise<FuzzOutcome> {
  const wrong: string[] = [];
  const attempt = async (what: string, work: () => unknown) => {
    tell?.(`fuzzing ${what}`);
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      wrong.push(`${what}: ${errorMessage(error)}`);
      return undefined;
    }
  };
  await attempt("envelopes", () => fuzzEnvelopes({ cases, seed }));
  await attempt("payloads", () => fuzzPayloads({ cases, seed }));

  await using cleanups = new AsyncDisposableStack();
  const served = await ServedExecutable.start({ ADMIN_TOKEN });
  cleanups.defer(() => served.stop());
  const target = await prepareTarget(served.url, ADMIN_TOKEN);
  const routes = await readRoutes(target);
  const memory = () => Math.round(residentBytes(served.pid() ?? 0) / MIB);
  const memoryMibBefore = memory();
  let requests = 0;
  for (const route of routes) {
    const name = `${route.method} ${route.path}`;
    const tried = await attempt(name, () =>
      fuzzRoutes(target, [route], { cases, seed, ...(signal ? { signal } : {}) }),
    );
    requests += typeof tried === "number" ? tried : 0;
  }
  const created = await fetch(`${served.url}/v1/agents`, {
    method: "POST",
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
  });
  const { token } = (await created.json()) as { token: string };
  const frames = await attempt("the stream", () => fuzzStream(served.url, token, { cases: cases / FRAMES_PART, seed }));
  const memoryMibAfter = memory();
  if ((await rest(served.url, "/readyz")).status !== 200) wrong.push("the server is not ready any more");
  if (served.starts !== 1) wrong.push(`the server was started ${served.starts} times`);
  if (memoryMibAfter - memoryMibBefore > GROWTH_MIB_MAX)
    wrong.push(`the server grew from ${memoryMibBefore} to ${memoryMibAfter} MiB`);
  const sent = typeof frames === "number" ? frames : 0;
  return { decoded: 2 * cases, requests, routes: routes.length, frames: sent, memoryMibBefore, memoryMibAfter, wrong };
}
