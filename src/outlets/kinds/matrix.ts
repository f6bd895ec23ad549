/**
 * Matrix by the client-server API. A message's transaction id follows from what it says: a homeserver answers one that it knows with
 * the event that is there, so that a message which is sent again is not doubled for as long as it remembers (Synapse: a day).
 */
import type { Notifier, Reply, View } from "../../announcements/model.ts";
import type { OutletUrl } from "../../config/notify.ts";
import { DeliveryError } from "../../lib/errors.ts";
import { hashUuid } from "../../lib/hash.ts";
import { flagOf, neededPart, schemeOf } from "../api-host.ts";
import { callApi, type WaitOf } from "../http.ts";
import { type OutletDeps, type OutletKind, OutletUrlError } from "../model.ts";
import { identityOf } from "../posting.ts";
import { cut, escapeHtml, html, plainText, shownText, wordsOf } from "../words.ts";

const INTERVAL_MS = 1_000;
/** An event has 64 KiB at most, and holds its text twice: what becomes of it in HTML may be five times as long. */
const LIMITS = { text: 6_000, file: 8_000 };
const TOKEN = /^[\x21-\x7e]{8,1000}$/;
/** As rows of messages can hold it. */
const PLACE_CHARS_MAX = 255;

/** Posts in a room. */
export const matrix: OutletKind = {
  scheme: "matrix",
  form: "matrix://:<access token>@<homeserver>[:port]/<!room id or %23alias>",
  params: ["rooms", "scheme", "disableTLS"],
  open(url, deps) {
    // Shoutrrr and Apprise write the token in the place of the password, or alone.
    if (url.user !== "" && url.password !== "") {
      throw new OutletUrlError("an access token is needed: by a user's password nobody signs in here");
    }
    const token = neededPart(url.password || url.user, "the access token", TOKEN);
    const host = neededPart(url.host, "the homeserver", /^\S+$/);
    const scheme = flagOf(url, "disableTLS") ? "http" : schemeOf(url);
    const base = `${scheme}://${host}${url.port === null ? "" : `:${url.port}`}/_matrix/client/v3`;
    return notifier(url.name, createRoom({ base, token, room: roomOf(url) }, deps), deps);
  },
};

/** "!id" (of rooms since version 12 without a server), or "#alias:server". */
function roomOf({ segments, params }: OutletUrl): string {
  const named = neededPart(segments[0] ?? params.get("rooms") ?? undefined, "the room", /^[!#]?[^\s/,]+$/);
  if (named.startsWith("!")) return named;
  const alias = named.startsWith("#") ? named : `#${named}`;
  if (!alias.includes(":")) throw new OutletUrlError("the room's alias names no server");
  return alias;
}

type Room = ReturnType<typeof createRoom>;

/** The calls about one room. */
function createRoom({ base, token, room }: { base: string; token: string; room: string }, deps: OutletDeps) {
  let roomId = room.startsWith("!") ? room : undefined;

  function call(method: "GET" | "PUT", path: string, body: unknown, signal: AbortSignal) {
    const headers = { authorization: `Bearer ${token}` };
    const asked = {
      who: "the homeserver",
      url: base + path,
      method,
      headers,
      body,
      secrets: [token],
      isRepeatable: true,
    };
    return callApi(asked, { proxyOf: deps.proxyOf, signal, waitOf });
  }

  async function idOf(signal: AbortSignal): Promise<string> {
    if (roomId !== undefined) return roomId;
    const { room_id } = await call("GET", `/directory/room/${encodeURIComponent(room)}`, undefined, signal);
    if (typeof room_id !== "string") throw new DeliveryError("later", "the homeserver named no room for the alias");
    roomId = room_id;
    return room_id;
  }

  async function send(content: unknown, transaction: string, signal: AbortSignal, into?: string): Promise<string> {
    const id = into ?? (await idOf(signal));
    const path = `/rooms/${encodeURIComponent(id)}/send/m.room.message/${transaction}`;
    const { event_id } = await call("PUT", path, content, signal);
    if (typeof event_id !== "string") throw new DeliveryError("later", "the homeserver's answer names no event");
    const place = `${id}/${event_id}`;
    return place.length <= PLACE_CHARS_MAX ? place : event_id;
  }

  return {
    send,
    /** Tells who the token is of; changes nothing. */
    whoami: (signal: AbortSignal) => call("GET", "/account/whoami", undefined, signal),
  };
}

/** In the answer itself; newer homeservers say it in the header, too. */
const waitOf: WaitOf = (headers, { retry_after_ms }) => {
  if (typeof retry_after_ms === "number") return retry_after_ms;
  const seconds = headers.get("retry-after");
  return seconds === null ? null : Number(seconds) * 1_000;
};

function notifier(outlet: string, room: Room, deps: OutletDeps): Notifier {
  const { redact } = deps;
  return {
    outlet,
    intervalMs: INTERVAL_MS,
    edits: true,
    async post(view, signal) {
      return { externalId: await room.send(contentOf(view, redact), hashUuid(`${outlet} ${nameOf(view)}`), signal) };
    },
    async edit(externalId, view, signal) {
      await replace(room, externalId, contentOf(view, redact), signal);
    },
    find: async () => undefined,
    async reach(signal) {
      await room.whoami(signal);
    },
    async reply(externalId, subject, reply, signal) {
      const { roomId, eventId } = placeOf(externalId);
      const inThread = {
        rel_type: "m.thread",
        event_id: eventId,
        is_falling_back: true,
        "m.in_reply_to": { event_id: eventId },
      };
      const content = { ...replyContent(reply, redact), "m.relates_to": inThread };
      return room.send(content, hashUuid(`${outlet} ${eventId} ${subject}`), signal, roomId);
    },
    async editReply(externalId, reply, signal) {
      await replace(room, externalId, replyContent(reply, redact), signal);
    },
  };
}

/** An edit may be made again: it shows the same. What it says may come back later, so that its transaction is its own. */
async function replace(room: Room, externalId: string | null, content: Content, signal: AbortSignal): Promise<void> {
  const { roomId, eventId } = placeOf(externalId);
  const edit = {
    ...content,
    body: `* ${content.body}`,
    "m.new_content": content,
    "m.relates_to": { rel_type: "m.replace", event_id: eventId },
  };
  await room.send(edit, crypto.randomUUID(), signal, roomId);
}

function placeOf(externalId: string | null): { roomId?: string; eventId: string } {
  if (externalId === null) throw new DeliveryError("never", "nobody knows where the message is");
  const slash = externalId.lastIndexOf("/$");
  return slash < 0
    ? { eventId: externalId }
    : { roomId: externalId.slice(0, slash), eventId: externalId.slice(slash + 1) };
}

/** By which a message is the same one: an end is one of its own. */
function nameOf(view: View): string {
  const isEnd = view.kind === "incident" && view.endOf !== undefined;
  return `${identityOf(view)}${isEnd ? " end" : ""}`;
}

interface Content {
  msgtype: "m.text";
  body: string;
  format: "org.matrix.custom.html";
  formatted_body: string;
  "m.mentions": Record<string, never>;
}

function textContent(body: string, formatted: string): Content {
  // An empty list of mentions: a name in somebody's log calls nobody.
  return { msgtype: "m.text", body, format: "org.matrix.custom.html", formatted_body: formatted, "m.mentions": {} };
}

function contentOf(view: View, redact: (text: string) => string): Content {
  const words = wordsOf(view, redact);
  return textContent(`${words.title}\n\n${plainText(words, LIMITS.text)}`, html(words));
}

function replyContent({ text, file }: Reply, redact: (text: string) => string): Content {
  const said = shownText(text, LIMITS.text, redact);
  if (file === null) return textContent(said || "(empty)", escapeHtml(said).replaceAll("\n", "<br>") || "(empty)");
  // The end of an output says most.
  const whole = shownText(file.content, Number.MAX_SAFE_INTEGER, redact);
  const end = whole.length > LIMITS.file ? `…${whole.slice(-LIMITS.file).toWellFormed()}` : whole;
  return textContent(
    `${said}\n\n${cut(file.name, 80)}:\n${end}`,
    `${escapeHtml(said).replaceAll("\n", "<br>")}<pre>${escapeHtml(end)}</pre>`,
  );
}
