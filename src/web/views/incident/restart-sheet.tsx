import { requestOf } from "../../../protocol/actions.ts";
import { useApp } from "../../app-context.ts";
import type { Agent, Decision, History, Incident, PastIncident } from "../../data/model.ts";
import { personOf } from "../../lib/event-words.ts";
import { programOf } from "../../lib/programs.ts";
import { nameText } from "../../lib/text.ts";
import { Sheet } from "../../parts/sheet.tsx";
import { OffReason } from "../../parts/states.tsx";
import type { RemoteState } from "../../parts/use-remote.ts";
import { Age } from "../../parts/words.tsx";
import { lastDecision, saidOf } from "./outcome.tsx";

interface RestartSheetOptions {
  incident: Incident;
  agent: Agent | null;
  /** The same problem before. */
  history: RemoteState<History>;
  onPress: () => void;
  onClose: () => void;
}

/** Says what will run where, and what came of it the last time; nothing changes a host before it is pressed. */
export function RestartSheet({ incident, agent, history, onPress, onClose }: RestartSheetOptions) {
  const { store } = useApp();
  const request = requestOf("restart", incident);
  if (request === undefined) return null;
  const host = nameText(agent?.hostname ?? "the host");
  const last = lastDecision(incident, "restart") ?? lastRestart(history.value?.here);
  return (
    <Sheet title={`Restart ${nameText(incident.source)} on ${host}?`} onClose={onClose}>
      <p>
        Runs on <b>{host}</b>, by its agent:
      </p>
      <pre class="command-line">{programOf(request.command, incident.source)}</pre>
      {agent?.status === "offline" && (
        <p class="warning-line">{host} is not connected now. It is waited for 30 s, then nothing runs.</p>
      )}
      <p class="last-time">{last ? <LastTime decision={last} /> : unknownWords(history)}</p>
      <OffReason />
      <div class="sheet-actions">
        <button type="button" class="button is-danger" disabled={!store.isLive.value} onClick={onPress}>
          Restart now
        </button>
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </Sheet>
  );
}

type PastDecision = PastIncident["decisions"][number];

/** The incidents and their decisions come with the newest first. */
function lastRestart(past: readonly PastIncident[] = []): PastDecision | undefined {
  return past.flatMap(({ decisions }) => decisions).find(({ action }) => action === "restart");
}

function unknownWords({ value, problem }: RemoteState<History>): string {
  if (value !== null) return "Nobody has restarted it for this problem before.";
  return problem === null
    ? "Asking what came of it the last time…"
    : "What came of it the last time could not be loaded.";
}

function LastTime({ decision }: { decision: Decision | PastDecision }) {
  return (
    <>
      The last time, <Age at={decision.requested_at} /> ago by {personOf(decision.actor, decision.actor_name)}:{" "}
      <b>{saidOf(decision) || decision.state.replaceAll("_", " ")}</b>
    </>
  );
}
