import type { Signal } from "@preact/signals";
import { useApp } from "../app-context.ts";
import { OffReason } from "./states.tsx";

interface NameFieldOptions {
  words: string;
  value: Signal<string>;
  maxLength: number;
  placeholder: string;
  isNeeded?: boolean;
}

/** A line for a name that no dictionary has. */
export function NameField({ words, value, maxLength, placeholder, isNeeded = false }: NameFieldOptions) {
  return (
    <label class="field">
      <span>{words}</span>
      <input
        type="text"
        value={value.value}
        required={isNeeded}
        maxLength={maxLength}
        placeholder={placeholder}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        onInput={(event) => {
          value.value = event.currentTarget.value;
        }}
      />
    </label>
  );
}

interface FormEndOptions {
  problem: Signal<string | null>;
  isBusy: Signal<boolean>;
  /** On the button: at rest, and meanwhile. */
  words: string;
  busyWords: string;
}

/** What went wrong, why nothing can be sent just now, and the button that sends. */
export function FormEnd({ problem, isBusy, words, busyWords }: FormEndOptions) {
  const { store } = useApp();
  return (
    <>
      {problem.value !== null && (
        <p class="field-problem" role="alert">
          {problem.value}
        </p>
      )}
      <OffReason />
      <button type="submit" class="button is-primary" disabled={isBusy.value || !store.isLive.value}>
        {isBusy.value ? busyWords : words}
      </button>
    </>
  );
}
