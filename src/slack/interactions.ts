import type { AnnouncementService } from "../announcements/model.ts";
import type { DecisionService } from "../decisions/model.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { meaningOf } from "./action-block.ts";
import { asBlockActions, type BlockActions } from "./callback.ts";
import type { People } from "./people.ts";
import type { Whisper } from "./response-url.ts";
import { OUTLET } from "./web-api-notifier.ts";

/** Slack, and the person, expect something within 3 s; a decision that takes longer is announced as under way. */
const PATIENCE_MS = 2_000;
/** Slack shows a failure when it has no acknowledgement after 3 s. */
const ACKNOWLEDGE_MS = 1_500;
/** A message whose answer was lost is found again within this. */
const SETTLED_LIMIT_MS = 8_000;
const SETTLED_POLL_MS = 200;
/** All that Slack is asked about one press. */
const CHECK_LIMIT_MS = 10_000;

export interface InteractionsDeps {
  /** Our team's id, by auth.test or the webhook's address. */
  teamId: (signal: AbortSignal) => Promise<string>;
  /** The channel that we post in; undefined where nobody knows (a webhook's). */
  channelId: (signal: AbortSignal) => Promise<string | undefined>;
  /** Whether each of our messages is known by its id; a webhook's are not. */
  knowsMessages: boolean;
  announcements: Pick<AnnouncementService, "incidentOf" | "isBeingSaid">;
  decisions: DecisionService;
  people: People;
  whisper: Whisper;
  clock: Clock;
  log: Log;
}

/** Takes what people press. */
export interface Interactions {
  /**
   * Takes a callback whose sender is proven. Resolves, and never rejects, once what it decides is a row: what is acknowledged
   * then survives a crash. While Slack itself is slow to say who pressed, it resolves without that: Slack wants its answer.
   */
  accept(payload: unknown): Promise<void>;
  /** Resolves when nothing is under way any more. */
  stop(): Promise<void>;
}

/**
 * A press counts only from our team, channel and message, by somebody who may; then it becomes a decision. Whatever comes of
 * it, the person is told; nothing is decided by silence.
 */
export function createInteractions(deps: InteractionsDeps): Interactions {
  const { clock, log, whisper } = deps;
  const underWay = new Set<Promise<void>>();

  const answerTo = (press: BlockActions) =>
    decide(deps, press, AbortSignal.timeout(CHECK_LIMIT_MS)).catch((error: unknown) => {
      log.error({ error: errorMessage(error) }, "a pressed button could not be handled");
      return "That did not work: the server has a problem. Nothing was decided; try again.";
    });

  /** Whether the answer, which never fails, is there by then. */
  async function isWithin(answer: Promise<unknown>, limitMs: number): Promise<boolean> {
    const done = new AbortController();
    await Promise.race([answer.finally(() => done.abort()), clock.sleep(limitMs, done.signal)]);
    return done.signal.aborted;
  }

  async function tell({ response_url }: BlockActions, answer: Promise<string | null>): Promise<void> {
    const isSoon = await isWithin(answer, PATIENCE_MS);
    if (!isSoon) await whisper(response_url, "Still at it; what comes of it is told here.");
    const text = await answer;
    if (text !== null) await whisper(response_url, text);
  }

  return {
    async accept(payload) {
      const press = asBlockActions(payload);
      if (press === undefined) return log.debug("Slack sent something that is no pressed button");
      const answer = answerTo(press);
      const work = tell(press, answer)
        .catch((error: unknown) => log.error({ error: errorMessage(error) }, "a person could not be answered"))
        .finally(() => underWay.delete(work));
      underWay.add(work);
      await isWithin(answer, ACKNOWLEDGE_MS);
    },
    async stop() {
      await Promise.all(underWay);
    },
  };
}

const NOT_OURS = "Nothing was done: this is not a message of this server.";

/** What the person is told; null when there is nothing to tell. */
async function decide(deps: InteractionsDeps, press: BlockActions, signal: AbortSignal): Promise<string | null> {
  const meaning = press.actions[0] && meaningOf(press.actions[0]);
  if (meaning === null) return null;
  const teamId = await deps.teamId(signal);
  const isOfTeam = press.team.id === teamId && (press.user.team_id ?? teamId) === teamId;
  if (!isOfTeam)
    return refuse(deps, press, "team", "Nothing was done: people of another workspace may not decide here.");
  if (meaning === undefined || !(await isOurs(deps, press, meaning.incidentId, signal))) {
    return refuse(deps, press, "message", NOT_OURS);
  }
  const standing = await deps.people.standingOf(press.user.id, teamId, signal);
  if (!standing.ok) return refuse(deps, press, "person", standing.text);
  const outcome = await deps.decisions.press({
    incidentId: meaning.incidentId,
    action: meaning.action,
    variant: meaning.variant,
    actor: `slack:${press.user.id}`,
    actorName: `@${standing.name.slice(0, 80)}`,
    outlet: OUTLET,
  });
  return outcome.text;
}

function refuse({ log }: InteractionsDeps, press: BlockActions, why: string, text: string): string {
  log.warn(
    { why, user: press.user.id, team: press.team.id, channel: press.channel.id },
    "a pressed button was refused",
  );
  return text;
}

/** Our channel, and in it a message of ours about this very incident. */
async function isOurs(
  deps: InteractionsDeps,
  press: BlockActions,
  incidentId: number,
  signal: AbortSignal,
): Promise<boolean> {
  const { channel_id, message_ts } = press.container;
  const channelId = await deps.channelId(signal);
  if (press.channel.id !== channel_id || (channelId !== undefined && channelId !== channel_id)) return false;
  if (deps.knowsMessages) return (await incidentOf(deps, `${channel_id}/${message_ts}`, incidentId)) === incidentId;
  // Slack sends an app only what is pressed in the app's own messages: this holds it to that.
  const { message, api_app_id } = press;
  return message?.bot_id !== undefined && (message.app_id ?? api_app_id) === api_app_id;
}

/** A message can be seen, and its button pressed, before the answer that names it has come: that is waited for. */
async function incidentOf(
  { announcements, clock }: InteractionsDeps,
  externalId: string,
  incidentId: number,
): Promise<number | undefined> {
  const untilMs = clock.monotonicMs() + SETTLED_LIMIT_MS;
  for (;;) {
    const isBeingSaid = await announcements.isBeingSaid(OUTLET, incidentId);
    const found = await announcements.incidentOf(OUTLET, externalId);
    if (found !== undefined || !isBeingSaid || clock.monotonicMs() > untilMs) return found;
    await clock.sleep(SETTLED_POLL_MS);
  }
}
