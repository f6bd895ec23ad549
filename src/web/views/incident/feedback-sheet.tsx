import { useSignal } from "@preact/signals";
import type { Verdict } from "../../../protocol/feedback.ts";
import { useApp } from "../../app-context.ts";
import { ApiProblem, wordsOf } from "../../data/api.ts";
import type { Feedback, Incident } from "../../data/model.ts";
import { Sheet } from "../../parts/sheet.tsx";
import { OffReason } from "../../parts/states.tsx";

const TEXT_CHARS_MAX = 2_000;

const KINDS: Record<Exclude<NonNullable<Feedback["category"]>, "unknown">, string> = {
  port_conflict: "A port that is taken",
  permission_denied: "No permission",
  out_of_memory: "Out of memory",
  disk_full: "A full disk",
  config_error: "A wrong configuration",
  missing_file: "A missing file",
  missing_dependency: "A missing dependency",
  connection_refused: "A refused connection",
  dns_failure: "A name that is not found",
  tls_certificate: "A certificate",
  authentication: "A wrong password or key",
  timeout: "A timeout",
  crash: "A crash",
  resource_limit: "A limit that is reached",
  data_corruption: "Damaged data",
  version_mismatch: "Versions that do not fit",
  lock_conflict: "A lock that is held",
  image_pull: "An image that cannot be fetched",
  hardware_io: "Hardware",
};

export interface FeedbackSheetOptions {
  incident: Incident;
  verdict: Verdict;
  onSaid: () => void;
  onClose: () => void;
}

/** Asks what it was: the next incident of this problem shows it. */
export function FeedbackSheet({ incident, verdict, onSaid, onClose }: FeedbackSheetOptions) {
  const { api, store } = useApp();
  const said = useSignal({ cause: "", category: "", fix: "" });
  const problem = useSignal("");
  const isBusy = useSignal(false);
  const isCauseNeeded = verdict === "right";
  const change = (name: keyof typeof said.value) => (event: { currentTarget: { value: string } }) => {
    said.value = { ...said.value, [name]: event.currentTarget.value };
  };

  async function send(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (isBusy.value) return;
    isBusy.value = true;
    const given = Object.entries(said.value).filter(([, value]) => value.trim() !== "");
    try {
      await api.send("POST", `/v1/incidents/${incident.id}/feedback`, { verdict, ...Object.fromEntries(given) });
      onSaid();
      onClose();
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      problem.value = wordsOf(error);
    } finally {
      isBusy.value = false;
    }
  }

  return (
    <Sheet title="What was it?" onClose={onClose}>
      <form class="form" onSubmit={(event) => void send(event)}>
        <p class="muted">It is shown on the next incident of this problem, and told to the model.</p>
        <label class="field">
          <span>The cause{isCauseNeeded ? "" : ", as far as you know it"}</span>
          <textarea rows={3} maxLength={TEXT_CHARS_MAX} required={isCauseNeeded} onInput={change("cause")} />
        </label>
        <label class="field">
          <span>Its kind</span>
          <select onChange={change("category")}>
            <option value="">not said</option>
            {Object.entries(KINDS).map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>What helped</span>
          <input type="text" maxLength={TEXT_CHARS_MAX} onInput={change("fix")} />
        </label>
        {problem.value !== "" && (
          <span class="field-problem" role="alert">
            {problem.value}
          </span>
        )}
        <OffReason />
        <button type="submit" class="button is-primary" disabled={isBusy.value || !store.isLive.value}>
          {verdict === "wrong" ? "It was wrong" : "Keep it"}
        </button>
      </form>
    </Sheet>
  );
}
