import { useEffect, useMemo } from "preact/hooks";
import { useApp } from "../app-context.ts";
import { createIncidentList, type IncidentList } from "../data/incident-list.ts";
import type { IncidentFilter } from "../data/incident-order.ts";
import { useIsScrolled } from "./window-list.tsx";

/** A list for this filter that follows the stream while the view is there, and holds still under a reader who has scrolled. */
export function useIncidents(filter: IncidentFilter): IncidentList {
  const { api, store } = useApp();
  const key = Object.values(filter).join("\n");
  const list = useMemo(() => createIncidentList({ api, filter, soon: requestAnimationFrame.bind(window) }), [key]);
  const isScrolled = useIsScrolled().value;

  useEffect(() => {
    void list.load();
    const silence = store.listen(list.apply);
    return () => {
      silence();
      list.close();
    };
  }, [list]);

  useEffect(() => list.hold(isScrolled), [list, isScrolled]);
  return list;
}

/** The filter that the URL says. */
export function filterOf(query: URLSearchParams): IncidentFilter {
  const word = (name: string) => query.get(name) ?? "";
  const order = query.get("order") === "newest" ? "newest" : "urgent";
  const [severity, type, host, q, agentId] = ["severity", "type", "host", "q", "agent_id"].map(word);
  return {
    status: query.get("status") ?? "open",
    severity: severity ?? "",
    type: type ?? "",
    host: host ?? "",
    q: q ?? "",
    agentId: agentId ?? "",
    order,
  };
}
