import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { useApp } from "../app-context.ts";
import { type Api, ApiProblem } from "../data/api.ts";
import type { Agent, News } from "../data/model.ts";

/** A few screens: the first are there at once, however many hosts there are. */
const PAGE_ROWS = 100;
/** A heartbeat alone is no change: figures that are older are asked for anew with the next sign of life, each 15 s. */
const FIGURES_MS_MAX = 45_000;
/** Whoever scrolls past does not ask. */
const SEE_REST_MS = 250;
/** The API takes no more at once. */
const ASKED_MAX = 100;

/** All hosts, kept up to date. */
export interface AgentList {
  readonly agents: ReadonlySignal<ReadonlyMap<string, Agent>>;
  /** All pages are there. */
  readonly isWhole: ReadonlySignal<boolean>;
  readonly problem: ReadonlySignal<ApiProblem | null>;
  load(): Promise<void>;
  /** These are in sight: their figures are kept new. */
  see(ids: readonly string[]): void;
}

function createAgentList(api: Api, status: string) {
  const agents = signal<ReadonlyMap<string, Agent>>(new Map());
  const isWhole = signal(false);
  const problem = signal<ApiProblem | null>(null);
  const closing = new AbortController();
  /** When each was told, by this device's clock. */
  const toldMs = new Map<string, number>();
  let seen: readonly string[] = [];
  let seeing: ReturnType<typeof setTimeout> | undefined;

  async function load(): Promise<void> {
    try {
      let path: string | undefined = `/v1/agents?limit=${PAGE_ROWS}${status === "" ? "" : `&status=${status}`}`;
      const found = new Map<string, Agent>();
      while (path !== undefined) {
        const page: { rows: Agent[]; next: string | undefined } = await api.list<Agent>(path, closing.signal);
        for (const agent of page.rows) found.set(agent.id, agent);
        for (const { id } of page.rows) toldMs.set(id, Date.now());
        path = page.next;
        // The first page is shown at once.
        if (!isWhole.value) agents.value = new Map(found);
      }
      agents.value = found;
      isWhole.value = true;
      problem.value = null;
    } catch (error) {
      if (closing.signal.aborted) return;
      if (!(error instanceof ApiProblem)) throw error;
      problem.value = error;
    }
  }

  /** Of those in sight whose figures are old; whoever is not told of any more was removed. */
  async function refresh(): Promise<void> {
    const old = seen.filter((id) => Date.now() - (toldMs.get(id) ?? 0) >= FIGURES_MS_MAX).slice(0, ASKED_MAX);
    if (old.length === 0) return;
    for (const id of old) toldMs.set(id, Date.now());
    try {
      const path = `/v1/agents?limit=${ASKED_MAX}&ids=${old.join(",")}`;
      const { rows } = await api.list<Agent>(path, closing.signal);
      const others = [...agents.value].filter(([id]) => !old.includes(id));
      agents.value = new Map([...others, ...rows.map((agent) => [agent.id, agent] as const)]);
    } catch (error) {
      // They stay old, and are asked for once more.
      for (const id of old) toldMs.delete(id);
      if (!closing.signal.aborted && !(error instanceof ApiProblem)) throw error;
    }
  }

  return {
    agents,
    isWhole,
    problem,
    load,
    see(ids: readonly string[]) {
      seen = ids;
      clearTimeout(seeing);
      seeing = setTimeout(() => void refresh(), SEE_REST_MS);
    },
    hear(news: News) {
      if (news.kind === "reset" || (news.kind === "back" && problem.value !== null)) void load();
      if (news.kind === "alive") void refresh();
      if (news.kind !== "agent") return;
      toldMs.set(news.data.id, Date.now());
      agents.value = new Map(agents.value).set(news.data.id, news.data);
    },
    close() {
      clearTimeout(seeing);
      closing.abort();
    },
  };
}

/** The hosts while a view shows them; with a status those that have it now, and those that change meanwhile. */
export function useAgents(status: "" | Agent["status"]): AgentList {
  const { api, store } = useApp();
  const list = useMemo(() => createAgentList(api, status), [api, status]);
  useEffect(() => {
    void list.load();
    const silence = store.listen(list.hear);
    return () => {
      silence();
      list.close();
    };
  }, [list]);
  return list;
}
