import { useSignal } from "@preact/signals";
import type { DecisionAction, IgnoreVariant } from "../../../protocol/actions.ts";
import { useApp } from "../../app-context.ts";
import { ApiProblem, wordsOf } from "../../data/api.ts";
import type { History, Incident } from "../../data/model.ts";
import { keyOf } from "../../data/presses.ts";
import { ForRole } from "../../parts/for-role.tsx";
import { Icon } from "../../parts/icons.tsx";
import { type Keys, useKeys } from "../../parts/use-keys.ts";
import type { RemoteState } from "../../parts/use-remote.ts";
import { actionsOf, whyNoRestart } from "./actions.ts";
import { MoreSheet } from "./more-sheet.tsx";
import { lastDecision, Outcome } from "./outcome.tsx";
import { RestartSheet } from "./restart-sheet.tsx";
import type { Story } from "./use-story.ts";

interface ActionBarOptions {
  story: Story;
  incident: Incident;
  history: RemoteState<History>;
}

/** Under the thumb: what one presses, and then what came of it. */
export function ActionBar({ story, incident, history }: ActionBarOptions) {
  const { api, store, presses, notices } = useApp();
  const sheet = useSignal<"restart" | "more" | null>(null);
  const agent = story.agent.value;
  const isLive = store.isLive.value;
  const situation = { incident, agent, isHostGone: story.isHostGone.value, isLive };
  const can = actionsOf(situation);
  const noRestart = whyNoRestart(situation);
  const restart = lastDecision(incident, "restart");
  const isBusy = (action: DecisionAction) => presses.underWay.value.has(keyOf(incident.id, action));

  async function press(action: DecisionAction, variant?: IgnoreVariant): Promise<void> {
    sheet.value = null;
    try {
      const decision = await presses.press({ incidentId: incident.id, action, ...(variant ? { variant } : {}) });
      if (decision) story.add(decision);
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      notices.warn(wordsOf(error));
    }
  }

  async function request(what: "analyze" | "investigate", words: string): Promise<void> {
    sheet.value = null;
    try {
      await api.send("POST", `/v1/incidents/${incident.id}/${what}`);
      notices.say(words);
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      notices.warn(wordsOf(error));
    }
  }

  const keys: Keys = {
    r: () => {
      if (can.restart && isLive) sheet.value = "restart";
    },
    l: () => {
      if (can.logs && isLive) void press("logs");
    },
    a: () => {
      if (can.acknowledge && isLive) void press("acknowledge");
    },
    i: () => {
      sheet.value = "more";
    },
    e: () => {
      if (can.resolve && isLive) void press("resolve");
    },
  };
  useKeys(store.may("operator") ? keys : {});

  return (
    <section class="bar" aria-label="Actions">
      {restart && <Outcome decision={restart} command={story.commands.value.get(restart.command_id ?? "")} />}
      {noRestart !== undefined && <p class="bar-reason">{noRestart}</p>}
      <ForRole needs="operator">
        <div class="bar-buttons">
          {noRestart === undefined && (
            <button
              type="button"
              class="button is-primary"
              disabled={!can.restart || isBusy("restart")}
              onClick={() => {
                sheet.value = "restart";
              }}
            >
              <Icon name="restart" />
              {isBusy("restart") ? "Sending…" : "Restart"}
            </button>
          )}
          {can.logs || isBusy("logs") || isUnderWay(incident, "logs") ? (
            <button
              type="button"
              class="button"
              disabled={!isLive || !can.logs || isBusy("logs")}
              onClick={() => void press("logs")}
            >
              <Icon name="logs" />
              {isBusy("logs") || isUnderWay(incident, "logs") ? "Fetching…" : "Logs"}
            </button>
          ) : null}
          {(can.acknowledge || isBusy("acknowledge")) && (
            <button
              type="button"
              class="button"
              disabled={!isLive || isBusy("acknowledge") || isUnderWay(incident, "acknowledge")}
              onClick={() => void press("acknowledge")}
            >
              <Icon name="acknowledge" />
              {isBusy("acknowledge") || isUnderWay(incident, "acknowledge") ? "Sending…" : "Acknowledge"}
            </button>
          )}
          <button
            type="button"
            class="button is-square"
            aria-label="More: ignore, resolve, explain again"
            aria-haspopup="dialog"
            onClick={() => {
              sheet.value = "more";
            }}
          >
            <Icon name="more" />
          </button>
        </div>
      </ForRole>
      {sheet.value === "restart" && (
        <RestartSheet
          incident={incident}
          agent={agent}
          history={history}
          onPress={() => void press("restart")}
          onClose={() => {
            sheet.value = null;
          }}
        />
      )}
      {sheet.value === "more" && (
        <MoreSheet
          incident={incident}
          host={agent?.hostname ?? null}
          canIgnore={can.ignore}
          canResolve={can.resolve}
          onIgnore={(variant) => void press("ignore", variant)}
          onResolve={() => void press("resolve")}
          onExplain={() => void request("analyze", "It is being explained again.")}
          onInvestigate={() => void request("investigate", "A model looks into it; its steps are shown below.")}
          onClose={() => {
            sheet.value = null;
          }}
        />
      )}
    </section>
  );
}

function isUnderWay(incident: Incident, action: DecisionAction): boolean {
  return lastDecision(incident, action)?.ended_at === null;
}
