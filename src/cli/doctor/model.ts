import type { Config } from "../../config.ts";
import { broken, doubtful, type Finding, fine } from "../../lib/finding.ts";
import { fieldsOf, jsonOf } from "../../lib/json.ts";
import type { OtherClock } from "./clock.ts";
import { type Exchange, get } from "./exchange.ts";

const LIMIT_MS = 10_000;
const NAME = "model";

/** What was found, and the endpoint's clock. */
export interface ModelFindings {
  readonly finding: Finding;
  readonly clocks: OtherClock[];
}

/** Whether the model's endpoint can be reached and takes the key: its list of models is asked for, which costs nothing. */
export async function checkModel({ key, baseUrl, model }: Config["ai"]): Promise<ModelFindings> {
  const { host, hostname } = new URL(baseUrl);
  const isOpenRouter = hostname === "openrouter.ai";
  if (isOpenRouter && key === null) {
    return { finding: fine(NAME, "none is set (OPENROUTER_KEY): the heuristics alone explain"), clocks: [] };
  }
  const headers: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  const list = await get(`${baseUrl}/models`, { headers, limitMs: LIMIT_MS });
  // OpenRouter shows its list to everybody, whatever the key.
  const proof = isOpenRouter && list.ok ? await get(`${baseUrl}/key`, { headers, limitMs: LIMIT_MS }) : list;
  const clocks = list.ok && list.skewS !== null ? [{ whose: host, skewS: list.skewS }] : [];
  return { finding: judge(host, model, list, proof), clocks };
}

function judge(host: string, model: string, list: Exchange, proof: Exchange): Finding {
  const failed = [list, proof].find((one) => !one.ok || one.status >= 300);
  if (failed) return judgeFailure(host, failed);
  const ids = list.ok ? idsOf(list.body) : undefined;
  if (!ids) return withoutList(host);
  if (ids.includes(model)) return fine(NAME, `${host} answers and has ${model}`);
  return doubtful(NAME, `${host} answers, but does not list ${model}`, "set AI_MODEL to a model that it has");
}

function judgeFailure(host: string, failed: Exchange): Finding {
  if (!failed.ok) {
    const todo = "check OPENROUTER_BASE_URL, the network, DNS and the firewall; until then the heuristics explain";
    return broken(NAME, `${host} cannot be reached: ${failed.why}`, todo);
  }
  if (failed.status === 401 || failed.status === 403) {
    return broken(
      NAME,
      `${host} refuses the key (${failed.status})`,
      "set OPENROUTER_KEY to a key that is valid there",
    );
  }
  if (failed.status === 404) return withoutList(host);
  return broken(NAME, `${host} answers with status ${failed.status}`, "try again later; check OPENROUTER_BASE_URL");
}

function withoutList(host: string): Finding {
  const todo = "check OPENROUTER_BASE_URL: it usually ends in /v1";
  return doubtful(NAME, `${host} answers, but with no list of models`, todo);
}

/** Undefined where it is no list as OpenAI's API has it. */
function idsOf(body: string): string[] | undefined {
  const { data } = fieldsOf(jsonOf(body));
  return Array.isArray(data) ? data.map((one) => String(one?.id)) : undefined;
}
