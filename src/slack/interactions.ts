import type { AnnouncementService, Reply } from "../announcements/model.ts";
import type { DecisionService } from "../decisions/model.ts";
import type { FeedbackOutcome, FeedbackService, GivenFeedback } from "../feedback/model.ts";
import type { ProxyOf } from "../lib/bounded-fetch.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { hashUuid } from "../lib/hash.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import { LIMITS } from "./blocks.ts";
import { asCallback, type BlockActions, type Callback, type CallbackStore, type KeptPress } from "./callback-store.ts";
import type { FeedbackWord } from "./feedback.ts";
import { type DialogSubmission, type OpenDialog, originOf, saidIn } from "./feedback-dialog.ts";
import { meaningOf } from "./message.ts";
import { OUTLET } from "./notifiers.ts";
import { createTexts, type Redact } from "./text.ts";
import { createSlackFetch, isSlackUrl, type WebApi } from "./web-api.ts";

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

interface InteractionsDeps {
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
  decisions: DecisionService;
  feedback: Pick<FeedbackService, "give">;
  /** Asks what it was; null where no dialog can be opened. */
  openDialog: OpenDialog | null;
  /** Has a model look into an incident; one id, one investigation. */
  investigate: (request: { id: string; incidentId: number; actor: string }) => Promise<{ ok: boolean; text: string }>;
  isInvestigation: (id: string) => Promise<boolean>;
  people: People;
  whisper: Whisper;
  loops: Loops;
  clock: Clock;
  log: Log;
}

/** What the person is told, null for nothing. With `isShown` the message says so, too, or nobody need know. */
interface Answer {
  readonly text: string | null;
  readonly isShown: boolean;
}

const NOTHING: Answer = { text: null, isShown: true };
const toldAlone = (text: string): Answer => ({ text, isShown: false });
const PROBLEM = toldAlone("That did not work: the server has a problem. Nothing was decided; try again.");
const LATER: Answer = {
  text: "The server has a problem: it tries again, and what comes of it is told here.",
  isShown: true,
};
const TOO_LATE = toldAlone(
  "Nothing was done: the server was away when this was pressed, and that was too long ago. Press again.",
);

/**
 * A press counts only from our team, channel and message, by somebody who may; then it becomes a decision, whose id follows from
 * the press: handled twice, it decides once. Whatever comes of it, the person is told; nothing is decided by silence.
 */
export function createInteractions(deps: InteractionsDeps) {
  const { callbacks, decisions, loops, clock, log, whisper } = deps;
  const underWay = new Map<string, Promise<void>>();
  let loop: Loop | undefined;

  /** Never rejects. */
  async function answerTo({ hash, press, ageS }: KeptPress): Promise<Answer> {
    const id = hashUuid(`callback ${hash}`);
    try {
      if (ageS > AGE_S_MAX) return (await decisions.get(id)) || (await deps.isInvestigation(id)) ? NOTHING : TOO_LATE;
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
    const { responseUrl } = originOfCallback(press);
    if (!isSoon) await whisper(responseUrl, "Still at it; what comes of it is told here.");
    const told = await answer;
    const isHeard = told.text === null || (await whisper(responseUrl, told.text));
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
    /**
     * Takes a callback whose sender is proven; false when it was taken before. Resolves once what it decides is a row. While Slack
     * itself is slow to say who pressed it resolves without that, for Slack wants its answer: the press is kept, and decided by
     * another server if this one dies.
     */
    async take(hash: string, payload: unknown): Promise<boolean> {
      const press = asCallback(payload);
      if (!(await callbacks.keep(hash, press))) return false;
      if (press === undefined) log.debug("Slack sent something that is neither a pressed button nor a dialog");
      else await isWithin(handle({ hash, press, ageS: 0 }).answer, ACKNOWLEDGE_MS);
      return true;
    },
    /** Looks after presses that servers left behind. */
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

export type Interactions = ReturnType<typeof createInteractions>;

/** Where nobody can be whispered to, it is said beneath the message that was pressed, when that is ours. */
async function replyTo({ announcements, reply }: InteractionsDeps, hash: string, press: Callback, text: string) {
  const { channelId, messageTs } = originOfCallback(press);
  const incidentId = await announcements.incidentOf(OUTLET, `${channelId}/${messageTs}`);
  if (incidentId === undefined) return;
  await reply(incidentId, `press ${hash}`, { text: `A button was pressed. ${text}`, file: null });
}

/** The message that was pressed, or above whose cause the dialog stood, and where its person is answered. */
function originOfCallback(press: Callback): { channelId: string; messageTs: string; responseUrl?: string | undefined } {
  if (press.type === "view_submission") return originOf(press);
  const { container, response_url: responseUrl } = press;
  return { channelId: container.channel_id, messageTs: container.message_ts, responseUrl };
}

const NOT_OURS = "Nothing was done: this is not a message of this server.";

async function decide(deps: InteractionsDeps, id: string, press: Callback, signal: AbortSignal): Promise<Answer> {
  if (press.type === "view_submission") return takeDialog(deps, press, signal);
  const meaning = press.actions[0] && meaningOf(press.actions[0]);
  if (meaning === null) return NOTHING;
  const teamId = await deps.teamId(signal);
  if (!isOfTeam(press, teamId)) return refuse(deps, press, "team", OTHER_TEAM);
  if (meaning === undefined || !(await isOurs(deps, press, meaning.incidentId, signal))) {
    return refuse(deps, press, "message", NOT_OURS);
  }
  const person = await personOf(deps, press, teamId, signal);
  if ("text" in person) return refuse(deps, press, "person", person.text);
  if ("word" in meaning) return hear(deps, press, { ...meaning, ...person }, signal);
  if (meaning.action === "investigate") {
    const looking = await deps.investigate({ id, incidentId: meaning.incidentId, actor: person.actor });
    return { text: looking.text, isShown: looking.ok };
  }
  const outcome = await deps.decisions.press({ id, ...meaning, ...person });
  return { text: outcome.text, isShown: outcome.ok };
}

const OTHER_TEAM = "Nothing was done: people of another workspace may not decide here.";

const isOfTeam = ({ team, user }: Callback, teamId: string) =>
  team.id === teamId && (user.team_id ?? teamId) === teamId;

/** Whoever may decide, or the reason for a refusal. */
async function personOf(
  deps: InteractionsDeps,
  { user }: Callback,
  teamId: string,
  signal: AbortSignal,
): Promise<Pick<GivenFeedback, "actor" | "actorName" | "outlet"> | { text: string }> {
  const standing = await deps.people.standingOf(user.id, teamId, signal);
  if (!standing.ok) return { text: standing.text };
  return { actor: `slack:${user.id}`, actorName: `@${standing.name.slice(0, 80)}`, outlet: OUTLET };
}

function refuse({ log }: InteractionsDeps, press: Callback, why: string, text: string): Answer {
  const { user, team } = press;
  log.warn({ why, user: user.id, team: team.id, channel: originOfCallback(press).channelId }, "a press was refused");
  return toldAlone(text);
}

type Said = Omit<GivenFeedback, "verdict"> & { word: FeedbackWord };

/** That it was right is kept at once; else it is asked what it was, where that can be. */
async function hear(deps: InteractionsDeps, press: BlockActions, { word, ...said }: Said, signal: AbortSignal) {
  const { incidentId } = said;
  if (word === "right") return toldOf(await deps.feedback.give({ ...said, verdict: word }));
  if (deps.openDialog !== null) {
    const verdict = word === "wrong" ? word : "right";
    const origin = { incidentId, verdict, ...originOfCallback(press) } as const;
    const why = await deps.openDialog(press.trigger_id ?? "", origin, signal);
    return why === undefined ? NOTHING : toldAlone(`The dialog could not be opened; press again (${why}).`);
  }
  const where = "what it was can be said on the incident's page, for a dialog needs SLACK_TOKEN.";
  if (word === "cause") return toldAlone(`Nothing was kept: ${where}`);
  const { text, isShown } = toldOf(await deps.feedback.give({ ...said, verdict: word }));
  return { text: `${text} And ${where}`, isShown };
}

/** Slack gives a dialog back to the app alone that opened it; who sent it is looked at again. */
async function takeDialog(deps: InteractionsDeps, sent: DialogSubmission, signal: AbortSignal): Promise<Answer> {
  const teamId = await deps.teamId(signal);
  if (!isOfTeam(sent, teamId)) return refuse(deps, sent, "team", OTHER_TEAM);
  const person = await personOf(deps, sent, teamId, signal);
  if ("text" in person) return refuse(deps, sent, "person", person.text);
  const { incidentId, verdict } = originOf(sent);
  return toldOf(await deps.feedback.give({ incidentId, verdict, ...saidIn(sent), ...person }));
}

function toldOf(outcome: FeedbackOutcome): Answer {
  if (!outcome.ok && outcome.reason === "not_found") return toldAlone("There is no such incident any more.");
  if (!outcome.ok) return toldAlone(`Nothing was kept: ${outcome.message}.`);
  const { verdict } = outcome.feedback;
  const text = `Kept: that was ${verdict === "right" ? "it" : "wrong"}. The next incident of this problem shows it.`;
  return { text, isShown: true };
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

/** Somebody who was let go may press for so long at most. */
const KEPT_MS = 60_000;
const KEPT_MAX = 1_000;

/** Whether a person may decide; their name as a message shows it, or the reason for a refusal. */
type Standing = { ok: true; name: string } | { ok: false; text: string };

/**
 * Says who may decide: full members of our team, no guests and no bots; of these only who is named, where some are. Without a bot
 * token (`api` is null) only people who are named may.
 */
export function createPeople(api: WebApi | null, allowedUsers: readonly string[], clock: Clock) {
  const known = new Map<string, { standing: Standing; untilMs: number }>();

  async function ask(id: string, teamId: string, signal: AbortSignal): Promise<Standing> {
    if (api === null) return { ok: true, name: id };
    const answer = await api.call("users.info", signal, (client) => client.users.info({ user: id }));
    const user = answer.user;
    if (!user || user.team_id !== teamId) return refused("people of another workspace");
    if (user.deleted) return refused("accounts that were closed");
    if (user.is_bot) return refused("bots");
    if (user.is_restricted || user.is_ultra_restricted || user.is_stranger) return refused("guests");
    return { ok: true, name: user.profile?.display_name || user.profile?.real_name || user.name || id };
  }

  function keep(id: string, standing: Standing): void {
    const [oldest] = known.keys();
    if (known.size >= KEPT_MAX && oldest !== undefined) known.delete(oldest);
    known.set(id, { standing, untilMs: clock.monotonicMs() + KEPT_MS });
  }

  return {
    /** Never rejects: who cannot be checked may not. */
    async standingOf(id: string, teamId: string, signal: AbortSignal): Promise<Standing> {
      if (allowedUsers.length > 0 ? !allowedUsers.includes(id) : api === null) {
        return { ok: false, text: "You are not among those who may decide here (SLACK_ALLOWED_USERS)." };
      }
      const kept = known.get(id);
      if (kept && kept.untilMs > clock.monotonicMs()) return kept.standing;
      try {
        const standing = await ask(id, teamId, signal);
        keep(id, standing);
        return standing;
      } catch (error) {
        return { ok: false, text: `It cannot be checked who you are, so nothing was done (${errorMessage(error)}).` };
      }
    },
  };
}

function refused(whom: string): Standing {
  return { ok: false, text: `Nothing was done: ${whom} may not decide here.` };
}

type People = ReturnType<typeof createPeople>;

/** A person waits for it. */
const CALL_LIMIT_MS = 5_000;

/** Says something to the person who pressed, seen by nobody else; false when Slack did not take it. */
type Whisper = (responseUrl: string | undefined, text: string) => Promise<boolean>;

/** Whispers over the address that came with the callback, when it is Slack's. Never rejects. */
export function createWhisper(deps: { apiUrl: string | null; proxyOf: ProxyOf; redact: Redact; log: Log }): Whisper {
  const { apiUrl, proxyOf, log } = deps;
  const texts = createTexts(deps.redact);
  return async (responseUrl, text) => {
    if (responseUrl === undefined || !isSlackUrl(responseUrl, apiUrl)) {
      log.warn("a callback's response_url is not Slack's: nobody was answered");
      return false;
    }
    const said = texts.prose(text, LIMITS.text);
    const body = JSON.stringify({ response_type: "ephemeral", replace_original: false, text: said });
    try {
      const send = createSlackFetch(proxyOf, AbortSignal.timeout(CALL_LIMIT_MS));
      const headers = { "content-type": "application/json" };
      const { status } = await send(responseUrl, { method: "POST", headers, body });
      if (status !== 200) log.warn({ status }, "a person who pressed a button was not answered");
      return status === 200;
    } catch (error) {
      log.warn({ error: errorMessage(error) }, "a person who pressed a button was not answered");
      return false;
    }
  };
}
