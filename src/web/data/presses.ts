/** Buttons that decide something: pressed once, however often somebody presses. */
import { type ReadonlySignal, signal } from "@preact/signals";
import type { DecisionAction, IgnoreVariant } from "../../protocol/actions.ts";
import type { Api } from "./api.ts";
import type { Decision } from "./model.ts";

/** What somebody wants done about an incident. */
export interface Wish {
  readonly incidentId: number;
  readonly action: DecisionAction;
  readonly variant?: IgnoreVariant;
}

/** Sends decisions, and knows which are on their way. */
export interface Presses {
  /** Keys of those that the server has not answered yet: see `keyOf`. */
  readonly underWay: ReadonlySignal<ReadonlySet<string>>;
  /** Resolves with the decision; undefined where the same is on its way already. Throws an ApiProblem. */
  press(wish: Wish): Promise<Decision | undefined>;
}

/** Names a button of an incident. */
export function keyOf(incidentId: number, action: DecisionAction): string {
  return `${incidentId} ${action}`;
}

/** Makes them. */
export function createPresses({ api }: { api: Api }): Presses {
  const underWay = signal<ReadonlySet<string>>(new Set());

  return {
    underWay,
    async press({ incidentId, action, variant }) {
      const key = keyOf(incidentId, action);
      if (underWay.value.has(key)) return undefined;
      underWay.value = new Set([...underWay.value, key]);
      try {
        const body = { action, ...(variant ? { variant } : {}) };
        return await api.send<Decision>("POST", `/v1/incidents/${incidentId}/decisions`, body);
      } finally {
        underWay.value = new Set([...underWay.value].filter((one) => one !== key));
      }
    },
  };
}
