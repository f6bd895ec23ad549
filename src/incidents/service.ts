import type { TransactionSql } from "postgres";
import type { FeedbackService } from "../feedback/model.ts";
import { keepHead } from "../protocol/text.ts";
import type { CountStore } from "./count-store.ts";
import type { HistoryStore } from "./history-store.ts";
import type { ListStore, ShortRow } from "./list-store.ts";
import type {
  Decided,
  Incident,
  IncidentService,
  IncidentWriter,
  ShortIncident,
  Silenceable,
  StatusRefusal,
  StatusSetting,
  TimelineEntry,
} from "./model.ts";
import { type IncidentStore, LIST_TEXT_BYTES } from "./store.ts";

interface StatusChangeDeps {
  writer: Pick<IncidentWriter, "setStatus">;
  /** What follows from a decision, in its transaction. */
  decided: (tx: TransactionSql, change: Decided) => Promise<void>;
}

interface IncidentServiceDeps extends StatusChangeDeps {
  store: IncidentStore;
  lists: ListStore;
  counts: CountStore["counts"];
  history: HistoryStore["history"];
  /** Which of these incidents nobody is told of, since somebody wanted it so. */
  silenced: (incidents: readonly Silenceable[]) => Promise<Set<number>>;
  feedback: Pick<FeedbackService, "about">;
}

/** Incidents as people read and decide them. */
export function createIncidentService(all: IncidentServiceDeps): IncidentService {
  const { store, lists, counts, history, silenced, feedback, ...deps } = all;
  const change = createStatusChange(deps);

  async function short(ids: readonly number[]): Promise<ShortIncident[]> {
    const rows = ids.length === 0 ? [] : await lists.short(ids);
    const open = rows.filter(({ status }) => status !== "resolved");
    const isSilenced = await silenced(open.map(silenceable));
    return rows.map(({ hostname: _, fingerprint: __, ...row }) => ({ ...row, silenced: isSilenced.has(row.id) }));
  }

  return {
    async list(page) {
      const { ids, ...next } = await lists.find(page);
      return { incidents: (await store.some(ids)).map(shorten), ...next };
    },
    async listShort(page) {
      const { ids, ...next } = await lists.find(page);
      return { incidents: await short(ids), ...next };
    },
    short,
    counts,
    audit: ({ limit, before }) => lists.audit(limit, before),
    async get(id) {
      const incident = await store.get(id);
      if (!incident) return undefined;
      const [events, decisions, announcements, said] = await Promise.all([
        store.timeline(id),
        store.decisions(id),
        store.announcements(id),
        feedback.about(id),
      ]);
      return { ...incident, timeline: timelineOf(incident, events), decisions, announcements, ...said };
    },
    history,
    async decide(id, status, actor) {
      const isDone = await store.begin((tx) => change(tx, { incidentId: id, status, actor }));
      const found = await store.get(id);
      return found && isDone ? { ok: true, incident: found } : { ok: false, ...refusalOf(found) };
    },
    async decideAll(ids, status, actor) {
      const done = await store.begin((tx) => changeAll(tx, ids, { status, actor }));
      const others = ids.filter((id) => !done.has(id));
      const found = new Map((await store.some(others)).map((one) => [one.id, one]));
      return { changed: [...done], refused: others.map((id) => ({ id, ...refusalOf(found.get(id)) })) };
    },
  };

  async function changeAll(
    tx: TransactionSql,
    ids: readonly number[],
    what: Omit<Decided, "incidentId">,
  ): Promise<Set<number>> {
    const settings = ids.map((incidentId) => ({ incidentId, ...what }));
    const done = await deps.writer.setStatus(tx, settings);
    for (const one of settings) if (done.has(one.incidentId)) await deps.decided(tx, one);
    return done;
  }
}

/** Why an incident has not changed: it is resolved, or is not there. */
function refusalOf(incident: Incident | undefined): StatusRefusal {
  return incident
    ? { reason: "invalid_transition", message: `the incident is ${incident.status}, which is final` }
    : { reason: "not_found", message: "there is no such incident" };
}

function silenceable({ id, agent_id: agentId, hostname, type, source, fingerprint, severity }: ShortRow): Silenceable {
  return { id, agentId, hostname, type, source, fingerprint, severity };
}

function shorten(incident: Incident): Incident {
  return { ...incident, raw_error: keepHead(incident.raw_error, LIST_TEXT_BYTES) };
}

/** Changes an incident's status in a transaction of the caller's, with all that follows; false when it is resolved or not there. */
export function createStatusChange({ writer, decided }: StatusChangeDeps) {
  return async (tx: TransactionSql, setting: StatusSetting): Promise<boolean> => {
    if ((await writer.setStatus(tx, [setting])).size === 0) return false;
    const { incidentId, status, actor } = setting;
    await decided(tx, { incidentId, status, actor });
    return true;
  };
}

/** The alerts' part is the incident itself: no event is stored for it. */
function timelineOf(incident: Incident, events: readonly TimelineEntry[]): TimelineEntry[] {
  const repeats = incident.occurrences > 1 ? [repetition(incident)] : [];
  const later = [...repeats, ...events].sort((a, b) => a.at.getTime() - b.at.getTime());
  return [opening(incident), ...later];
}

const SAME_PROBLEM = "the same agent, type, source and beginning of the message";

function opening({ created_at: at, previous_id }: Incident): TimelineEntry {
  const why =
    previous_id === null
      ? "no incident of this problem was open"
      : `${SAME_PROBLEM} as incident ${previous_id}, which was over or had been quiet for longer than INCIDENT_GROUP_WINDOW`;
  const data = previous_id === null ? { why } : { previous_id, why };
  return { at, kind: "opened", actor: "agent", command_id: null, data };
}

function repetition({ last_seen_at: at, occurrences }: Incident): TimelineEntry {
  const why = `${SAME_PROBLEM}, within INCIDENT_GROUP_WINDOW of the one before`;
  return { at, kind: "repeated", actor: "agent", command_id: null, data: { occurrences, why } };
}
