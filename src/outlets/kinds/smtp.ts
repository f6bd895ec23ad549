/**
 * Mail by SMTP. What happens to an incident is one thread: each mail names the first one. A mail's Message-ID follows from what it says,
 * so that one which had to be sent twice is known for the same by mail programs. A mail cannot be edited: a change of state is a mail
 * of its own, and a counter is none.
 */
import type { Notifier, Reply, View } from "../../announcements/model.ts";
import type { OutletUrl } from "../../config/notify.ts";
import { sha256Hex } from "../../lib/hash.ts";
import { neededPart } from "../api-host.ts";
import { type Mail, type MailServer, reachServer, sendMail } from "../mail.ts";
import { type OutletDeps, type OutletKind, OutletUrlError } from "../model.ts";
import { identityOf } from "../posting.ts";
import { cut, escapeHtml, html, isOver, plainText, shownText, wordsOf } from "../words.ts";

const INTERVAL_MS = 1_000;
const TO_MAX = 50;
/** As simple as addresses are in practice: nothing that could begin another header or command. */
const ADDRESS = /^[^\s<>,;:"\\@\p{Cc}]{1,64}@[A-Za-z0-9.-]{1,190}$/u;
const LIMITS = { subject: 150, text: 20_000, reply: 4_000 };
/** Of so many incidents it is remembered what their last mail said. */
const TOLD_MAX = 2_000;

/** Mail over a connection that becomes encrypted where the server offers that. */
export const smtp: OutletKind = {
  scheme: "smtp",
  form: "smtp://[user:password@]host[:port]/?from=<address>&to=<address>[,<address>…][&tls=required|optional|unverified|off]",
  params: ["from", "to", "tls"],
  open: (url, deps) => open(url, deps, false),
};

/** Mail over TLS from the first byte. */
export const smtps: OutletKind = {
  ...smtp,
  scheme: "smtps",
  form: smtp.form.replace("smtp:", "smtps:"),
  open: (url, deps) => open(url, deps, true),
};

function open(url: OutletUrl, deps: OutletDeps, isImplicit: boolean): Notifier {
  const { user, password, params } = url;
  const hasLogin = user !== "";
  if (hasLogin && password === "") throw new OutletUrlError("the user has no password");
  const server: MailServer = {
    host: neededPart(url.host, "the host", /^\S+$/),
    port: url.port ?? (isImplicit ? 465 : hasLogin ? 587 : 25),
    isImplicit,
    // A password goes over no line that somebody could have kept from being encrypted.
    tls: tlsOf(params.get("tls") ?? (hasLogin ? "required" : "optional"), hasLogin),
    login: hasLogin ? { user, password } : null,
  };
  const from = neededPart(params.get("from") ?? (user.includes("@") ? user : undefined), "from", ADDRESS);
  const to = (params.get("to") ?? "").split(",").map((one) => neededPart(one.trim(), "to", ADDRESS));
  if (to.length > TO_MAX) throw new OutletUrlError(`to has more than ${TO_MAX} addresses`);
  return notifier(url.name, { server, from, to }, deps);
}

function tlsOf(word: string, hasLogin: boolean): MailServer["tls"] {
  if (word === "off" && hasLogin) throw new OutletUrlError("tls=off would send the password in the clear");
  if (word === "required" || word === "optional" || word === "unverified" || word === "off") return word;
  throw new OutletUrlError("tls must be required, optional, unverified or off");
}

interface Post {
  server: MailServer;
  from: string;
  to: readonly string[];
}

function notifier(outlet: string, { server, from, to }: Post, deps: OutletDeps): Notifier {
  const { redact } = deps;
  /** By subject; the oldest are forgotten. What is mailed again for that has the same Message-ID. */
  const told = new Map<string, string>();
  const domain = from.slice(from.indexOf("@") + 1);
  const idOf = (...parts: string[]) => `<opspilot.${sha256Hex([outlet, ...parts].join("\n")).slice(0, 40)}@${domain}>`;

  function remember(view: View): void {
    const [oldest] = told.keys();
    if (told.size >= TOLD_MAX && oldest !== undefined) told.delete(oldest);
    told.set(identityOf(view), stateOf(view));
  }

  /** Resolves with the mail's Message-ID, as it was delivered. */
  async function mail(mail: Omit<Mail, "from" | "to">, signal: AbortSignal): Promise<string> {
    const { messageId, rejected } = await sendMail(server, { ...mail, from, to }, redact, signal);
    if (rejected > 0) deps.log.warn({ outlet, rejected }, "a mail was not taken for some of its recipients");
    return messageId;
  }

  return {
    outlet,
    intervalMs: INTERVAL_MS,
    edits: true,
    canRepeat: false,
    repeats: false,
    reach: (signal) => reachServer(server, redact, signal),
    async post(view, signal) {
      const first = idOf("first", identityOf(view));
      const messageId = view.kind === "incident" && view.endOf ? idOf("end", identityOf(view)) : first;
      const thread = messageId === first ? null : (view.kind === "incident" && view.endOf) || null;
      const externalId = await mail({ ...mailOf(view, redact), messageId, thread }, signal);
      remember(view);
      return { externalId };
    },
    async edit(externalId, view, signal) {
      if (view.kind === "storm" && !isOver(view)) return;
      if (told.get(identityOf(view)) === stateOf(view)) return;
      const messageId = idOf("state", identityOf(view), stateOf(view));
      await mail({ ...mailOf(view, redact), messageId, thread: externalId }, signal);
      remember(view);
    },
    find: async () => undefined,
    async reply(externalId, subject, reply, signal) {
      const messageId = idOf("reply", externalId ?? "", subject);
      return mail({ ...replyMail(reply, redact), messageId, thread: externalId }, signal);
    },
  };
}

/** What of a view is worth a mail when it changes. */
function stateOf(view: View): string {
  if (view.kind === "notice") return "";
  if (view.kind === "storm") return isOver(view) ? "over" : "";
  const { status, severity, explanation, decisions } = view.incident;
  const outcomes = decisions.filter((one) => one.ended).map((one) => one.outcome);
  // That it was looked into is said by the explanation.
  const standing = status === "new" ? "analyzed" : status;
  return JSON.stringify([standing, severity, explanation?.cause, explanation?.fix, outcomes]);
}

type Content = Pick<Mail, "subject" | "text" | "html" | "isUrgent" | "file">;

/** The subject of all mails of one thread begins alike, so that mail programs keep them together. */
function mailOf(view: View, redact: (text: string) => string): Content {
  const words = wordsOf(view, redact);
  return {
    subject: cut(`[OpsPilot] ${words.title}`, LIMITS.subject),
    text: `${words.title}\n\n${plainText(words, LIMITS.text)}\n`,
    html: html(words),
    isUrgent: !isOver(view) && view.kind === "incident" && view.incident.severity === "critical",
    file: null,
  };
}

function replyMail({ text, file }: Reply, redact: (text: string) => string): Content {
  const said = shownText(text, LIMITS.reply, redact);
  const line = cut(said.replaceAll(/\s+/g, " "), LIMITS.subject - 20);
  return {
    subject: `[OpsPilot] Re: ${line}`,
    text: `${said}\n`,
    html: `<p>${escapeHtml(said).replaceAll("\n", "<br>")}</p>`,
    isUrgent: false,
    file: file && {
      name: shownText(file.name, 80, redact).replaceAll(/[^\w.-]/g, "_") || "output.txt",
      content: shownText(file.content, Number.MAX_SAFE_INTEGER, redact),
    },
  };
}
