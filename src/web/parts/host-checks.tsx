import type { CheckReport } from "../../protocol/frames.ts";
import { useApp } from "../app-context.ts";
import type { Agent } from "../data/model.ts";
import { nameText } from "../lib/text.ts";
import { durationWords } from "../lib/time.ts";
import { Clock } from "./words.tsx";

/** What the host's agent asks of services, and how that stood at the last try. */
export function HostChecks({ agent }: { agent: Agent }) {
  const isPast = useApp().store.isPast.value;
  const checks = checksIn(agent.meta?.checks);
  if (checks.length === 0) return null;
  return (
    <section class="section" aria-labelledby="checks-title">
      <h2 id="checks-title">What it checks</h2>
      <ul class="plain-list">
        {checks.map(({ name, up, for_s, took_ms, said, certificate_ends }) => (
          <li key={name} class={`collector ${up ? "" : "is-cannot"}`}>
            <b>{nameText(name)}</b> {isPast ? (up ? "was well" : "failed") : up ? "is well" : "fails"}
            {!up && for_s !== undefined && ` for ${durationWords(for_s)}`}
            {up && took_ms !== undefined && `, in ${took_ms} ms`}
            {!up && said !== undefined && <p class="muted">{said}</p>}
            {certificate_ends !== undefined && (
              <p class="muted">
                certificate until <Clock at={new Date(certificate_ends * 1000).toISOString()} />
              </p>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The latest moment that a date can be. */
const SECONDS_MAX = 8.64e12;

type ShownCheck = Pick<CheckReport, "name" | "up"> & { [key in keyof CheckReport]?: CheckReport[key] | undefined };

/** A heartbeat may hold anything. */
function checksIn(value: unknown): ShownCheck[] {
  if (!Array.isArray(value)) return [];
  const number = (one: unknown) => (typeof one === "number" && Math.abs(one) < SECONDS_MAX ? one : undefined);
  return value.flatMap((one) => {
    if (typeof one?.name !== "string" || typeof one.up !== "boolean") return [];
    const { name, up, said } = one;
    return [
      {
        name,
        up,
        for_s: number(one.for_s),
        took_ms: number(one.took_ms),
        certificate_ends: number(one.certificate_ends),
        said: typeof said === "string" ? said : undefined,
      },
    ];
  });
}
