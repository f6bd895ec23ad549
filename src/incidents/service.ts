import { keepHead } from "../protocol/text.ts";
import type { Incident, IncidentService, TimelineEntry } from "./model.ts";
import { type IncidentStore, LIST_TEXT_BYTES } from "./store.ts";

/** Incidents as people read and decide them. */
export function createIncidentService({ store }: { store: IncidentStore }): IncidentService {
  return {
    async list(page) {
      const incidents = await store.list({ ...page, limit: page.limit + 1 });
      const shown = incidents.slice(0, page.limit).map(shorten);
      const last = shown.at(-1);
      return incidents.length > page.limit && last ? { incidents: shown, nextCursor: last.id } : { incidents: shown };
    },
    async get(id) {
      const incident = await store.get(id);
      if (!incident) return undefined;
      return { ...incident, timeline: [opening(incident), ...(await store.timeline(id))] };
    },
    async decide(id, status, actor) {
      const incident = await store.decide(id, status, actor);
      if (incident) return { ok: true, incident };
      const found = await store.get(id);
      return found
        ? { ok: false, reason: "invalid_transition", message: `the incident is ${found.status}, which is final` }
        : { ok: false, reason: "not_found", message: "there is no such incident" };
    },
  };
}

function shorten(incident: Incident): Incident {
  return { ...incident, raw_error: keepHead(incident.raw_error, LIST_TEXT_BYTES) };
}

/** The timeline's first line is the incident itself: no event is stored for it. */
function opening(incident: Incident): TimelineEntry {
  const data = incident.previous_id === null ? null : { previous_id: incident.previous_id };
  return { at: incident.created_at, kind: "opened", actor: "agent", data };
}
