import { type Hours, parseHours } from "../lib/hours.ts";

const SEVERITIES = ["info", "warning", "critical"] as const;

/** What an outlet takes; what is null or empty leaves nothing out. */
export interface Routing {
  /** The least severity; what has none counts as a warning. */
  readonly min: (typeof SEVERITIES)[number] | null;
  /** Patterns with `*` and `?` over the host's name or its agent's id. */
  readonly hosts: readonly string[];
  /** The same over the incident's type. */
  readonly types: readonly string[];
  /** When it takes anything at all. */
  readonly hours: Hours | null;
  /** Whether it gets the daily digest. */
  readonly digest: boolean;
}

/** An outlet that takes everything. */
export const TAKES_ALL: Routing = Object.freeze({ min: null, hosts: [], types: [], hours: null, digest: false });

/** The parameters of an outlet's URL that say what it takes; the others are the outlet's own. */
export const ROUTING_PARAMS = ["min", "hosts", "types", "hours", "digest"] as const;

const EXPECTED: Readonly<Record<(typeof ROUTING_PARAMS)[number], string>> = {
  min: "info, warning or critical",
  hosts: "patterns of host names such as web-*, separated by commas",
  types: "types of incidents such as systemd,docker",
  hours: "hours such as mon-fri 08:00-18:00 Europe/Berlin",
  digest: "yes or no",
};

/** What the parameters say, and what is wrong with them; no value is quoted, since it may stand in a URL that is a secret. */
export function readRouting(params: URLSearchParams): { routing: Routing; mistakes: string[] } {
  const mistakes: string[] = [];
  const read = <T>(name: (typeof ROUTING_PARAMS)[number], parse: (text: string) => T | undefined, otherwise: T): T => {
    const given = params.getAll(name);
    const value = given[0] === undefined ? otherwise : parse(given[0].trim());
    if (value === undefined || given.length > 1) mistakes.push(`${name}: expected ${EXPECTED[name]}, once`);
    return value ?? otherwise;
  };
  const routing = {
    min: read<Routing["min"]>("min", (text) => SEVERITIES.find((one) => one === text), null),
    hosts: read("hosts", patternsOf, []),
    types: read("types", patternsOf, []),
    hours: read<Hours | null>("hours", parseHours, null),
    digest: read("digest", yesOrNo, false),
  };
  return { routing: Object.freeze(routing), mistakes };
}

function patternsOf(text: string): string[] | undefined {
  const patterns = text.split(",").map((one) => one.trim());
  return patterns.every((one) => one !== "") ? patterns : undefined;
}

function yesOrNo(text: string): boolean | undefined {
  if (text === "yes" || text === "no") return text === "yes";
  return undefined;
}

/** The same of a setting of its own: "min=warning&hosts=web-*". What is none of routing's is a mistake, too. */
export function parseRoute(text: string): { routing: Routing; mistakes: string[] } {
  const params = new URLSearchParams(text.replace(/^\?/, ""));
  const { routing, mistakes } = readRouting(params);
  const isForeign = [...params.keys()].some((name) => !ROUTING_PARAMS.includes(name as never));
  const foreign = isForeign
    ? [`expected ${ROUTING_PARAMS.join(", ")} with & between, such as min=warning&hosts=web-*`]
    : [];
  return { routing, mistakes: [...foreign, ...mistakes] };
}
