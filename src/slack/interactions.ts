import type { AnnouncementService, Reply } from "../announcements/model.ts";
import type { DecisionReader, DecisionService } from "../decisions/model.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { hashUuid } from "../lib/hash.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import { meaningOf } from "./action-block.ts";
import { asBlockActions, type BlockActions } from "./callback.ts";
import type { CallbackStore, KeptPress } from "./callback-store.ts";
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
/** What was pressed longer ago, and nobody has decided yet, would surprise by now. */
const AGE_S_MAX = 300;
/** At rest presses that a server left behind are looked for this often. */
const LOOK_EVERY_MS = 15_000;
/** What is not done by then is done by another node, or by the next server. */
const STOP_LIMIT_MS = 5_000;

export interface InteractionsDeps {
  /** Our team's id, by auth.test or the webhook's address. */
  teamId: (signal: AbortSignal) => Promise<string>;
  /** The channel that we post in; undefined where nobody knows (a webhook's). */
  channelId: (signal: AbortSignal) => Promise<string | undefined>;
  /** Whether each of our messages is known by its id; a webhook's are not. */
  knowsMessages: boolean;
  announcements: Pick<AnnouncementService, "incidentOf" | "isInFlight">;
  /** Says something beneath an incident's message. */
  reply: (incidentId: number, subject: string, reply: Reply) => Promise<void>;
  callbacks: CallbackStore;
  decisions: DecisionService & DecisionReader;
  people: People;
  whisper: Whisper;
  loops: Loops;
  clock: Clock;
  log: Log;
}

/** Takes what people press. */
export interface Interactions {
  /**
   * Takes a callback whose sender is proven; false when it was taken before. Resolves once what it decides is a row. While Slack
   * itself is slow to say who pressed it resolves without that, for Slack wants its answer: the press is kept, and decided by
   * another server if this one dies.
   */
  take(hash: string, payload: unknown): Promise<boolean>;
  /** Looks after presses that servers left behind. */
  start(): void;
  stop(): Promise<void>;
}

/** What the person is told, null for nothing. With `isShown` the message says so, too, or nobody need know. */
interface Answer {
  readonly text: string | null;
  readonly isShown: boolean;
}

const NOTHING: Answer = { text: null, isShown: true };
const PROBLEM: Answer = {
  text: "That did not work: the server has a problem. Nothing was decided; try again.",
  isShown: false,
};
const LATER: Answer = {
  text: "The server has a problem: it tries again, and what comes of it is told here.",
  isShown: true,
};
const TOO_LATE: Answer = {
  text: "Nothing was done: the server was away when this was pressed, and that was too long ago. Press again.",
  isShown: false,
};

/**
 * A press counts only from our team, channel and message, by somebody who may; then it becomes a decision, whose id follows from
 * the press: handled twice, it decides once. Whatever comes of it, the person is told; nothing is decided by silence.
 */
export function createInteractions(deps: InteractionsDeps): Interactions {
  const { callbacks, decisions, loops, clock, log, whisper } = deps;
  const underWay = new Map<string, Promise<void>>();
  let loop: Loop | undefined;

  /** Never rejects. */
  async function answerTo({ hash, press, ageS }: KeptPress): Promise<Answer> {
    const id = hashUuid(`callback ${hash}`);
    try {
      if (ageS > AGE_S_MAX) return (await decisions.get(id)) ? NOTHING : TOO_LATE;
      return await decide(deps, id, press, AbortSignal.timeout(CHECK_LIMIT_MS));
    } catch (error) {
      log.error({ error: errorMessage(error) }, "a pressed button could not be handled");
      return callbacks.settle(hash).then(
        () => PROBLEM,
        (late: unknown) => {
          log.error({ error: errorMessage(late) }, "a pressed button is kept for later");
          return LATER;
        },
      );
    }
  }

  /** Whether the answer, which never fails, is there by then. */
  async function isWithin(answer: Promise<unknown>, limitMs: number): Promise<boolean> {
    const done = new AbortController();
    await Promise.race([answer.finally(() => done.abort()), clock.sleep(limitMs, done.signal)]);
    return done.signal.aborted;
  }

  async function tell({ hash, press }: KeptPress, answer: Promise<Answer>): Promise<void> {
    const isSoon = await isWithin(answer, PATIENCE_MS);
    if (!isSoon) await whisper(press.response_url, "Still at it; what comes of it is told here.");
    const told = await answer;
    const isHeard = told.text === null || (await whisper(press.response_url, told.text));
    if (!isHeard && !told.isShown) await replyTo(deps, hash, press, told.text ?? "");
    if (told !== LATER) await callbacks.settle(hash);
  }

  /** Decides, and tells the person; resolves with that, or at once when that is under way. */
  function handle(kept: KeptPress): { answer: Promise<unknown>; work: Promise<void> } {
    const busy = underWay.get(kept.hash);
    if (busy) return { answer: busy, work: busy };
    const answer = answerTo(kept);
    const work = tell(kept, answer)
      .catch((error: unknown) => log.error({ error: errorMessage(error) }, "a person could not be answered"))
      .finally(() => underWay.delete(kept.hash));
    underWay.set(kept.hash, work);
    return { answer, work };
  }

  async function turn(): Promise<number | undefined> {
    const { taken, nextMs } = await callbacks.claimDue();
    await Promise.all(taken.map((kept) => handle(kept).work));
    return nextMs === null ? undefined : Math.max(0, nextMs);
  }

  return {
    async take(hash, payload) {
      const press = asBlockActions(payload);
      if (!(await callbacks.keep(hash, press))) return false;
      if (press === undefined) log.debug("Slack sent something that is no pressed button");
      else await isWithin(handle({ hash, press, ageS: 0 }).answer, ACKNOWLEDGE_MS);
      return true;
    },
    start() {
      const failed = "presses that were left behind could not be looked after";
      loop ??= loops.start({ name: "Slack's presses", turn, everyMs: LOOK_EVERY_MS, turnLimitMs: 60_000, failed });
    },
    async stop() {
      const done = Promise.all([loop?.stop(), ...underWay.values()]);
      await isWithin(done, STOP_LIMIT_MS);
    },
  };
}

/** Where nobody can be whispered to, it is said beneath the message that was pressed, when that is ours. */
async function replyTo({ announcements, reply }: InteractionsDeps, hash: string, press: BlockActions, text: string) {
  const { channel_id, message_ts } = press.container;
  const incidentId = await announcements.incidentOf(OUTLET, `${channel_id}/${message_ts}`);
  if (incidentId === undefined) return;
  await reply(incidentId, `press ${hash}`, { text: `A button was pressed. ${text}`, file: null });
}

const NOT_OURS = "Nothing was done: this is not a message of this server.";

async function decide(deps: InteractionsDeps, id: string, press: BlockActions, signal: AbortSignal): Promise<Answer> {
  const meaning = press.actions[0] && meaningOf(press.actions[0]);
  if (meaning === null) return NOTHING;
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
    id,
    incidentId: meaning.incidentId,
    action: meaning.action,
    variant: meaning.variant,
    actor: `slack:${press.user.id}`,
    actorName: `@${standing.name.slice(0, 80)}`,
    outlet: OUTLET,
  });
  return { text: outcome.text, isShown: outcome.ok };
}

function refuse({ log }: InteractionsDeps, press: BlockActions, why: string, text: string): Answer {
  log.warn(
    { why, user: press.user.id, team: press.team.id, channel: press.channel.id },
    "a pressed button was refused",
  );
  return { text, isShown: false };
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
    const isInFlight = await announcements.isInFlight(OUTLET, incidentId);
    const found = await announcements.incidentOf(OUTLET, externalId);
    if (found !== undefined || !isInFlight || clock.monotonicMs() > untilMs) return found;
    await clock.sleep(SETTLED_POLL_MS);
  }
}
