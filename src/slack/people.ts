import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { WebApi } from "./web-api.ts";

/** Somebody who was let go may press for so long at most. */
const KEPT_MS = 60_000;
const KEPT_MAX = 1_000;

/** Whether a person may decide; their name as a message shows it, or the reason for a refusal. */
export type Standing = { ok: true; name: string } | { ok: false; text: string };

export interface PeopleDeps {
  /** Null without a bot token: then only people who are named may. */
  api: WebApi | null;
  allowedUsers: readonly string[];
  clock: Clock;
}

/** Says who may decide: full members of our team, no guests and no bots; of these only who is named, where some are. */
export function createPeople({ api, allowedUsers, clock }: PeopleDeps) {
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

export type People = ReturnType<typeof createPeople>;
