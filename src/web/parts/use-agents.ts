import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { useApp } from "../app-context.ts";
import { type Api, ApiProblem } from "../data/api.ts";
import type { Agent, News } from "../data/model.ts";

const PAGE_ROWS = 500;
/** A heartbeat alone is no change: figures are asked for anew after so many signs of life, each 15 s. */
const ALIVES = 4;

/** All hosts, kept up to date. */
export interface AgentList {
  readonly agents: ReadonlySignal<ReadonlyMap<string, Agent>>;
  /** All pages are there. */
  readonly isWhole: ReadonlySignal<boolean>;
  readonly problem: ReadonlySignal<ApiProblem | null>;
  load(): Promise<void>;
}

function createAgentList(api: Api, status: string) {
  const agents = signal<ReadonlyMap<string, Agent>>(new Map());
  const isWhole = signal(false);
  const problem = signal<ApiProblem | null>(null);
  const closing = new AbortController();
  let alives = 0;

  async function load(): Promise<void> {
    try {
      let path: string | undefined = `/v1/agents?limit=${PAGE_ROWS}${status === "" ? "" : `&status=${status}`}`;
      const found = new Map<string, Agent>();
      while (path !== undefined) {
        const page: { rows: Agent[]; next: string | undefined } = await api.list<Agent>(path, closing.signal);
        for (const agent of page.rows) found.set(agent.id, agent);
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

  return {
    agents,
    isWhole,
    problem,
    load,
    hear(news: News) {
      if (news.kind === "reset" || (news.kind === "back" && problem.value !== null)) void load();
      if (news.kind === "alive" && ++alives % ALIVES === 0 && agents.value.size <= PAGE_ROWS) void load();
      if (news.kind === "agent") agents.value = new Map(agents.value).set(news.data.id, news.data);
    },
    close: () => closing.abort(),
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
