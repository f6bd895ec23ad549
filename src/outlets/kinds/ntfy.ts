/** ntfy (https://docs.ntfy.sh/publish/#publish-as-json): hosted at ntfy.sh, or a server of one's own. An end is a message of its own. */
import type { View } from "../../announcements/model.ts";
import type { OutletUrl } from "../../config/notify.ts";
import { reach } from "../../lib/bounded-fetch.ts";
import { HOSTED_PARAMS, hostedBase, neededPart, ownBase } from "../api-host.ts";
import { callApi } from "../http.ts";
import type { OutletDeps, OutletKind } from "../model.ts";
import { type Grade, gradeOf, postsOnly } from "../posting.ts";
import { plainText, wordsOf } from "../words.ts";

const INTERVAL_MS = 200;
const HOST = "ntfy.sh";
const TOPIC = /^[-_A-Za-z0-9]{1,64}$/;
/** More than 4,096 bytes would become a file: so many characters of any kind are below. */
const MESSAGE_CHARS_MAX = 1_300;
const PRIORITIES: Readonly<Record<Grade, number>> = { critical: 5, warning: 4, info: 2, over: 3 };
const TAGS: Readonly<Record<Grade, string>> = {
  critical: "rotating_light",
  warning: "warning",
  info: "information_source",
  over: "white_check_mark",
};

/** Posts in a topic. */
export const ntfy: OutletKind = {
  scheme: "ntfy",
  form: "ntfy://[[user]:<password or access token>@]<host>[:port]/<topic>, or ntfy://<topic> for ntfy.sh",
  params: HOSTED_PARAMS,
  open(url, deps) {
    const isHosted = url.segments.length === 0;
    const topic = neededPart(isHosted ? url.host : url.segments[0], "the topic", TOPIC);
    const base = isHosted ? hostedBase(url, HOST) : ownBase(url);
    const headers = authorizationOf(url);
    const secrets = [url.user, url.password, topic];
    const place = {
      outlet: url.name,
      intervalMs: INTERVAL_MS,
      reach: (signal: AbortSignal) => reach("ntfy", base, deps.proxyOf, signal),
    };
    return postsOnly(place, async (view, signal) => {
      const body = { topic, ...messageOf(view, deps) };
      const call = { who: "ntfy", url: base, headers, body, secrets, isRepeatable: false };
      const { id } = await callApi(call, { proxyOf: deps.proxyOf, signal });
      return typeof id === "string" ? id : null;
    });
  },
};

/** An access token begins with tk_, or is there without a user. */
function authorizationOf({ user, password }: OutletUrl): Record<string, string> {
  const secret = password || user;
  if (secret === "") return {};
  if (user === "" || password === "" || secret.startsWith("tk_")) return { authorization: `Bearer ${secret}` };
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}

function messageOf(view: View, { redact }: OutletDeps) {
  const words = wordsOf(view, redact);
  const grade = gradeOf(view);
  return {
    title: words.title,
    message: plainText(words, MESSAGE_CHARS_MAX, false) || "(no more is known)",
    priority: PRIORITIES[grade],
    tags: [TAGS[grade]],
    ...(words.url === null ? {} : { click: words.url }),
  };
}
