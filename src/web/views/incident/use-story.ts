import { batch, type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { useApp } from "../../app-context.ts";
import { type Api, ApiProblem } from "../../data/api.ts";
import type { Agent, Command, Decision, Incident, News } from "../../data/model.ts";

/** Many things change at once about an incident: it is asked for once. */
const REST_MS = 120;

/** One incident with all that its page shows, kept up to date. */
export interface Story {
  readonly incident: ReadonlySignal<Incident | null>;
  /** Its host; null while unknown, or deleted (`isHostGone`). */
  readonly agent: ReadonlySignal<Agent | null>;
  readonly isHostGone: ReadonlySignal<boolean>;
  /** Commands of its decisions, by id. */
  readonly commands: ReadonlySignal<ReadonlyMap<string, Command>>;
  readonly problem: ReadonlySignal<ApiProblem | null>;
  load(): Promise<void>;
  /** A press was taken: shown before the stream tells it. */
  add(decision: Decision): void;
  hear(news: News): void;
  close(): void;
}

function createStory(api: Api, id: number): Story {
  const incident = signal<Incident | null>(null);
  const agent = signal<Agent | null>(null);
  const isHostGone = signal(false);
  const commands = signal<ReadonlyMap<string, Command>>(new Map());
  const problem = signal<ApiProblem | null>(null);
  const closing = new AbortController();
  let waiting: ReturnType<typeof setTimeout> | undefined;

  /** What fails to load is said once; what was there stays. */
  async function attempt(work: () => Promise<void>, failed: (error: ApiProblem) => void): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (closing.signal.aborted) return;
      if (!(error instanceof ApiProblem)) throw error;
      failed(error);
    }
  }

  const load = () =>
    attempt(
      async () => {
        const found = await api.get<Incident>(`/v1/incidents/${id}`, closing.signal);
        batch(() => {
          if (found.revision >= (incident.value?.revision ?? 0)) incident.value = found;
          problem.value = null;
        });
        await Promise.all([loadAgent(found.agent_id), loadCommands(found.decisions)]);
      },
      (error) => {
        problem.value = error;
      },
    );

  async function loadAgent(agentId: string): Promise<void> {
    if (agent.value !== null || isHostGone.value) return;
    await attempt(
      async () => {
        agent.value = await api.get<Agent>(`/v1/agents/${agentId}`, closing.signal);
      },
      ({ status }) => {
        isHostGone.value = status === 404;
      },
    );
  }

  /** Of restarts and logs; one that is over does not change any more. */
  async function loadCommands(decisions: readonly Decision[]): Promise<void> {
    const wanted = decisions.flatMap(({ command_id }) => (command_id === null ? [] : [command_id]));
    await Promise.all(wanted.filter((one) => !isOver(commands.value.get(one))).map(loadCommand));
  }

  const loadCommand = (commandId: string) =>
    attempt(
      async () => {
        const found = await api.get<Command>(`/v1/commands/${commandId}`, closing.signal);
        commands.value = new Map(commands.value).set(commandId, found);
      },
      // The decision's own words say what came of it.
      () => undefined,
    );

  function loadSoon(): void {
    waiting ??= setTimeout(() => {
      waiting = undefined;
      void load();
    }, REST_MS);
  }

  return {
    incident,
    agent,
    isHostGone,
    commands,
    problem,
    load,
    add(decision) {
      const now = incident.value;
      if (now === null || now.decisions.some((one) => one.id === decision.id)) return;
      incident.value = { ...now, decisions: [...now.decisions, decision] };
      loadSoon();
    },
    hear(news) {
      const agentId = incident.value?.agent_id;
      if (news.kind === "reset" || (news.kind === "back" && problem.value !== null)) loadSoon();
      else if (news.kind === "incident" && news.data.id === id) loadSoon();
      else if (news.kind === "command" && news.data.incident_id === id) loadSoon();
      else if (news.kind === "timeline" && news.data.incident_id === id) loadSoon();
      else if (news.kind === "agent" && news.data.id === agentId) agent.value = news.data;
    },
    close() {
      clearTimeout(waiting);
      closing.abort();
    },
  };
}

function isOver(command: Command | undefined): boolean {
  return command !== undefined && command.status !== "pending" && command.status !== "sent";
}

/** The story of an incident while its page is there. */
export function useStory(id: number): Story {
  const { api, store } = useApp();
  const story = useMemo(() => createStory(api, id), [api, id]);
  useEffect(() => {
    void story.load();
    const silence = store.listen(story.hear);
    return () => {
      silence();
      story.close();
    };
  }, [story]);
  return story;
}
