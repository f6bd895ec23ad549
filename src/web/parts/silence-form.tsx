import { useSignal } from "@preact/signals";
import { useApp } from "../app-context.ts";
import { ApiProblem, wordsOf } from "../data/api.ts";
import { ForRole } from "./for-role.tsx";
import { SilencePreview } from "./silence-fit.tsx";
import { OffReason } from "./states.tsx";

const FIELDS = [
  { name: "agent", label: "Host", hint: "web-*" },
  { name: "type", label: "Type", hint: "systemd" },
  { name: "source", label: "Source", hint: "nginx*" },
] as const;
const ENDS = [
  { hours: 1, words: "for 1 hour" },
  { hours: 8, words: "for 8 hours" },
  { hours: 24, words: "for a day" },
  { hours: 168, words: "for a week" },
  { hours: null, words: "until somebody ends it" },
] as const;
const HOUR_MS = 3_600_000;

type Patterns = Record<(typeof FIELDS)[number]["name"], string>;

interface SilenceFormOptions {
  initial: Patterns;
  onMade: () => void;
}

/** A silence by patterns, with a look at what fits now. */
export function SilenceForm(options: SilenceFormOptions) {
  return (
    <ForRole needs="operator">
      <Fields {...options} />
    </ForRole>
  );
}

function Fields({ initial, onMade }: SilenceFormOptions) {
  const { api, store, notices } = useApp();
  const patterns = useSignal<Patterns>(initial);
  const hours = useSignal<number | null>(1);
  const comment = useSignal("");
  const problems = useSignal<ReadonlyMap<string, string>>(new Map());
  const isBusy = useSignal(false);
  const given = {
    agent: patterns.value.agent.trim() || null,
    type: patterns.value.type.trim() || null,
    source: patterns.value.source.trim() || null,
  };
  const isEmpty = Object.values(given).every((one) => one === null);

  async function make(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (isBusy.value) return;
    isBusy.value = true;
    const until = hours.value === null ? null : new Date(store.now.peek() + hours.value * HOUR_MS).toISOString();
    try {
      await api.send("POST", "/v1/silences", { ...given, until, comment: comment.value.trim() || null });
      notices.say("Silenced.");
      onMade();
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      const named = error.fields.map(({ field, message }) => [field, message] as const);
      problems.value = new Map(named.length > 0 ? named : [["", wordsOf(error)]]);
    } finally {
      isBusy.value = false;
    }
  }

  return (
    <form class="form" onSubmit={(event) => void make(event)}>
      <p class="muted">All that are given must fit; * stands for any characters.</p>
      {FIELDS.map(({ name, label, hint }) => (
        <label class="field" key={name}>
          <span>{label}</span>
          <input
            type="text"
            value={patterns.value[name]}
            placeholder={hint}
            maxLength={255}
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            aria-invalid={problems.value.has(name)}
            onInput={(event) => {
              patterns.value = { ...patterns.value, [name]: event.currentTarget.value };
            }}
          />
          <FieldProblem text={problems.value.get(name)} />
        </label>
      ))}
      <label class="field">
        <span>Until</span>
        <select
          value={String(hours.value)}
          onChange={(event) => {
            const { value } = event.currentTarget;
            hours.value = value === "null" ? null : Number(value);
          }}
        >
          {ENDS.map((one) => (
            <option key={one.words} value={String(one.hours)}>
              {one.words}
            </option>
          ))}
        </select>
        <FieldProblem text={problems.value.get("until")} />
      </label>
      <label class="field">
        <span>Why, for the others</span>
        <input
          type="text"
          value={comment.value}
          maxLength={1000}
          onInput={(event) => {
            comment.value = event.currentTarget.value;
          }}
        />
        <FieldProblem text={problems.value.get("comment")} />
      </label>
      <SilencePreview patterns={given} />
      <FieldProblem text={problems.value.get("")} />
      <OffReason />
      <button type="submit" class="button is-primary" disabled={isBusy.value || isEmpty || !store.isLive.value}>
        {isBusy.value ? "Silencing…" : "Silence"}
      </button>
    </form>
  );
}

function FieldProblem({ text }: { text: string | undefined }) {
  return text === undefined ? null : (
    <span class="field-problem" role="alert">
      {text}
    </span>
  );
}
