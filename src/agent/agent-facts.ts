import { hostname, release } from "node:os";
import { fieldsOf } from "../lib/json.ts";
import { type AllowEntry, allowText } from "../protocol/commands.ts";
import { type CommandTools, done, type Outcome } from "./command-model.ts";
import { DockerError } from "./docker-error.ts";

const CONTAINERS_MAX = 200;

/** What the agent is, what it may do and see, and which containers there are, as JSON. */
export async function agentFacts(allow: readonly AllowEntry[], tools: CommandTools): Promise<Outcome> {
  const { version, collectors } = tools.about;
  const facts = {
    version,
    hostname: hostname(),
    kernel: release(),
    allow: allow.map(allowText),
    collectors: collectors(),
    ...(await containersOf(tools)),
  };
  return done(JSON.stringify(facts));
}

async function containersOf({ docker, signal }: CommandTools) {
  try {
    const list = await docker.get("/containers/json", { query: { all: true }, signal });
    const all = Array.isArray(list) ? list.map(fieldsOf) : [];
    const left = all.length - CONTAINERS_MAX;
    return {
      containers: all.slice(0, CONTAINERS_MAX).map(containerOf),
      ...(left > 0 ? { containers_left_out: left } : {}),
    };
  } catch (error) {
    if (!(error instanceof DockerError)) throw error;
    return { containers: [], no_containers_since: error.message };
  }
}

function containerOf({ Names: names, Image: image, State: state, Status: status }: Record<string, unknown>) {
  const [name] = Array.isArray(names) ? names : [];
  return { name: String(name ?? "").replace(/^\//, ""), image, state, status };
}
