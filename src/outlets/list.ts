import type { Notifier } from "../announcements/model.ts";
import type { NotifyEntry } from "../config/notify.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";
import { discord } from "./kinds/discord.ts";
import { gotify } from "./kinds/gotify.ts";
import { matrix } from "./kinds/matrix.ts";
import { mattermost } from "./kinds/mattermost.ts";
import { ntfy } from "./kinds/ntfy.ts";
import { opsgenie } from "./kinds/opsgenie.ts";
import { pagerduty } from "./kinds/pagerduty.ts";
import { pushover } from "./kinds/pushover.ts";
import { rocketchat } from "./kinds/rocketchat.ts";
import { slack } from "./kinds/slack.ts";
import { smtp, smtps } from "./kinds/smtp.ts";
import { teams } from "./kinds/teams.ts";
import { telegram } from "./kinds/telegram.ts";
import { webhook } from "./kinds/webhook.ts";
import { type OutletDeps, type OutletKind, OutletUrlError } from "./model.ts";

/** All that NOTIFY can name. Another outlet is a file beside these, and a line here. */
export const OUTLET_KINDS: readonly OutletKind[] = [
  discord,
  gotify,
  matrix,
  mattermost,
  ntfy,
  opsgenie,
  pagerduty,
  pushover,
  rocketchat,
  slack,
  smtp,
  smtps,
  teams,
  telegram,
  webhook,
];

/** Opens NOTIFY's outlets, in their order. Throws a StartupError that says all that is wrong with them, and nothing of their URLs. */
export function openOutlets(entries: readonly NotifyEntry[], deps: OutletDeps): Notifier[] {
  const mistakes: string[] = [];
  const notifiers = entries.flatMap((entry, at) => {
    try {
      return [open(entry, deps)];
    } catch (error) {
      if (!(error instanceof OutletUrlError)) throw error;
      mistakes.push(`  NOTIFY: outlet ${at + 1} (${entry.url.name}): ${error.message}`);
      return [];
    }
  });
  if (mistakes.length === 0) return notifiers;
  throw new StartupError(`the settings cannot be used:\n${mistakes.join("\n")}`, ExitCode.config);
}

function open({ url }: NotifyEntry, deps: OutletDeps): Notifier {
  const kind = OUTLET_KINDS.find(({ scheme }) => scheme === url.scheme);
  if (kind === undefined) {
    throw new OutletUrlError(
      `there is no such outlet: expected ${OUTLET_KINDS.map(({ scheme }) => scheme).join(", ")}`,
    );
  }
  const known = kind.params;
  const isKnown = known === undefined || [...url.params.keys()].every((one) => known.includes(one));
  try {
    if (!isKnown) {
      const expected = ["name", "min", "hosts", "types", "hours", "digest", ...(known ?? [])];
      throw new OutletUrlError(`a parameter is not known: expected ${expected.join(", ")}`);
    }
    return kind.open(url, deps);
  } catch (error) {
    if (error instanceof OutletUrlError) throw new OutletUrlError(`${error.message}; the form is ${kind.form}`);
    throw error;
  }
}
