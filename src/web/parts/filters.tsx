import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../app-context.ts";
import type { IncidentFilter } from "../data/incident-order.ts";
import { Icon } from "./icons.tsx";

/** Typing goes into the URL after this. */
const TYPING_MS = 250;

const STATUSES = [
  ["open", "Open"],
  ["new,analyzed", "Undecided"],
  ["acknowledged", "Acknowledged"],
  ["ignored", "Ignored"],
  ["resolved", "Resolved"],
] as const;
const SEVERITIES = ["critical", "warning", "info"] as const;

/** What the list shows. All of it is in the URL. */
export function Filters({ filter }: { filter: IncidentFilter }) {
  const { router } = useApp();
  const chosen = new Set(filter.severity.split(",").filter(Boolean));

  function setSeverity(severity: string): void {
    const next = new Set(chosen);
    if (!next.delete(severity)) next.add(severity);
    router.setQuery({ severity: SEVERITIES.filter((one) => next.has(one)).join(",") });
  }

  return (
    <search aria-label="Filter incidents">
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <div class="filter-line">
          <Search text={filter.q} onText={(q) => router.setQuery({ q })} />
          <label class="select">
            <span class="off-screen">Status</span>
            <select
              value={filter.status}
              onChange={(event) => {
                const { value } = event.currentTarget;
                router.setQuery({ status: value === "open" ? "" : value });
              }}
            >
              {STATUSES.map(([value, words]) => (
                <option key={value} value={value}>
                  {words}
                </option>
              ))}
            </select>
          </label>
          <label class="select">
            <span class="off-screen">Order</span>
            <select
              value={filter.order}
              onChange={(event) => {
                const { value } = event.currentTarget;
                router.setQuery({ order: value === "urgent" ? "" : value });
              }}
            >
              <option value="urgent">Urgent first</option>
              <option value="newest">Newest first</option>
            </select>
          </label>
        </div>
        <div class="filter-line">
          {SEVERITIES.map((severity) => (
            <button
              key={severity}
              type="button"
              class={`chip is-${severity}`}
              aria-pressed={chosen.has(severity)}
              onClick={() => setSeverity(severity)}
            >
              {severity}
            </button>
          ))}
          {(["host", "type", "agent_id"] as const).map((name) => {
            const value = name === "agent_id" ? filter.agentId : filter[name];
            return value === "" ? null : (
              <button
                key={name}
                type="button"
                class="chip"
                aria-pressed="true"
                onClick={() => router.setQuery({ [name]: "" })}
              >
                {name === "agent_id" ? "one host" : `${name}: ${value}`}
                <Icon name="close" size={14} />
                <span class="off-screen">take this filter away</span>
              </button>
            );
          })}
        </div>
      </form>
    </search>
  );
}

/** A field whose text is taken once the typing rests. */
export function Search({
  text,
  onText,
  id = "incident-search",
}: {
  text: string;
  onText: (text: string) => void;
  id?: string;
}) {
  const typed = useSignal(text);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (document.activeElement !== field.current) typed.value = text;
  }, [text]);
  useEffect(() => () => clearTimeout(timer.current), []);

  return (
    <label class="search" for={id}>
      <Icon name="search" size={18} />
      <span class="off-screen">Search</span>
      <input
        ref={field}
        id={id}
        type="search"
        placeholder="Search"
        value={typed.value}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          clearTimeout(timer.current);
          timer.current = setTimeout(() => onText(typed.value.trim()), TYPING_MS);
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
    </label>
  );
}
