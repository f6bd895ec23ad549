import type { IncidentView, NoticeView, StormView, View } from "../announcements/model.ts";
import { visibleName } from "../protocol/names.ts";

/** The view with the names of hosts and of what failed there as they may be shown to who decides by them. */
export function withVisibleNames(view: View): View {
  if (view.kind === "notice") return { ...view, notice: namedNotice(view.notice) };
  return view.kind === "incident"
    ? { ...view, incident: namedIncident(view.incident) }
    : { ...view, storm: namedStorm(view.storm) };
}

const hostName = (name: string | null) => (name === null ? null : visibleName(name));

function namedIncident(incident: IncidentView): IncidentView {
  const consequences = incident.consequences.map((one) => ({ ...one, source: visibleName(one.source) }));
  const { hostname, type, source } = incident;
  return {
    ...incident,
    consequences,
    hostname: hostName(hostname),
    type: visibleName(type),
    source: visibleName(source),
  };
}

function namedNotice(notice: NoticeView): NoticeView {
  return { ...notice, title: visibleName(notice.title), lines: notice.lines.map(visibleName) };
}

function namedStorm(storm: StormView): StormView {
  const named = <T extends { hostname: string | null; source: string }>(one: T): T => ({
    ...one,
    hostname: hostName(one.hostname),
    source: visibleName(one.source),
  });
  return {
    ...storm,
    byHost: storm.byHost.map((one) => ({ ...one, hostname: visibleName(one.hostname) })),
    newest: storm.newest.map(named),
    ...(storm.held ? { held: storm.held.map(named) } : {}),
  };
}
