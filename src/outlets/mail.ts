/**
 * One mail over one connection.
 *
 *   connect, sign in   whatever fails here says nothing of the mail: later
 *   send               an answer decides: 4xx is for now, 5xx for good; without one nobody knows whether the mail came through
 */
import type { NodemailerError } from "nodemailer";
import type { MailComposerOptions } from "nodemailer/lib/mail-composer";
import type SMTPConnection from "nodemailer/lib/smtp-connection";
import type { SMTPConnectionSendInfo } from "nodemailer/lib/smtp-connection";
import { DeliveryError } from "../lib/errors.ts";

const CONNECT_LIMIT_MS = 10_000;
/** Between two answers of the server. */
const ANSWER_LIMIT_MS = 12_000;
const ANSWER_CHARS_MAX = 200;

/** How a mail server is reached. */
export interface MailServer {
  host: string;
  port: number;
  /** TLS from the first byte. */
  isImplicit: boolean;
  /** `optional`: where the server offers it; `unverified`: whoever it is. */
  tls: "required" | "optional" | "unverified" | "off";
  login: { user: string; password: string } | null;
}

/** A mail. Addresses and the Message-ID are well-formed already; everything else is foreign text. */
export interface Mail {
  from: string;
  to: readonly string[];
  messageId: string;
  /** The Message-ID of the mail that began the thread; null of that one. */
  thread: string | null;
  subject: string;
  text: string;
  html: string;
  isUrgent: boolean;
  file: { name: string; content: string } | null;
}

/** What became of it: the Message-ID that it was delivered with (some servers give their own), and for how many it was not taken. */
export interface MailOutcome {
  messageId: string;
  rejected: number;
}

/** Sends the mail. Throws a DeliveryError, in which nothing secret is. */
export async function sendMail(
  server: MailServer,
  mail: Mail,
  redact: (text: string) => string,
  signal: AbortSignal,
): Promise<MailOutcome> {
  const [{ default: Connection }, { default: Composer }] = await Promise.all([
    import("nodemailer/lib/smtp-connection"),
    import("nodemailer/lib/mail-composer"),
  ]);
  const message = await new Composer(composed(mail)).compile().build();
  const connection = new Connection(optionsOf(server));
  const close = () => connection.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    await greet(connection, server, redact);
    const envelope = { from: mail.from, to: [...mail.to], size: message.length };
    const info = await step<SMTPConnectionSendInfo>(connection, redact, "unknown", (done) =>
      connection.send(envelope, message, done),
    );
    connection.quit();
    return { messageId: info.serverMessageId ?? mail.messageId, rejected: info.rejected.length };
  } catch (error) {
    connection.close();
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
  }
}

/** Whether the server is there, and takes who signs in. Throws a DeliveryError `later` when it does not. */
export async function reachServer(
  server: MailServer,
  redact: (text: string) => string,
  signal: AbortSignal,
): Promise<void> {
  const { default: Connection } = await import("nodemailer/lib/smtp-connection");
  const connection = new Connection(optionsOf(server));
  const close = () => connection.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    await greet(connection, server, redact);
    connection.quit();
  } finally {
    signal.removeEventListener("abort", close);
    connection.close();
  }
}

async function greet(connection: SMTPConnection, { login }: MailServer, redact: (text: string) => string) {
  await step(connection, redact, "later", (done) => connection.connect(done));
  if (login === null) return;
  const auth = { user: login.user, pass: login.password };
  await step(connection, redact, "later", (done) => connection.login(auth, done));
}

/** No holiday notes, please. */
const UNANSWERED = { "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All" };
const URGENT = { "X-Priority": "1 (Highest)", Importance: "High" };

function composed(mail: Mail): MailComposerOptions {
  const { thread, file, messageId, subject, text, html } = mail;
  return {
    from: { name: "OpsPilot", address: mail.from },
    to: [...mail.to],
    messageId,
    subject,
    text,
    html,
    ...(thread === null ? {} : { inReplyTo: thread, references: [thread] }),
    headers: { ...UNANSWERED, ...(mail.isUrgent ? URGENT : {}) },
    attachments:
      file === null ? [] : [{ filename: file.name, content: file.content, contentType: "text/plain; charset=utf-8" }],
    // What a view says is never the path of a file, nor the address of something to be fetched.
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

function optionsOf({ host, port, isImplicit, tls }: MailServer) {
  return {
    host,
    port,
    secure: isImplicit,
    requireTLS: tls === "required",
    ignoreTLS: tls === "off",
    tls: { rejectUnauthorized: tls !== "unverified" },
    connectionTimeout: CONNECT_LIMIT_MS,
    greetingTimeout: CONNECT_LIMIT_MS,
    dnsTimeout: CONNECT_LIMIT_MS,
    socketTimeout: ANSWER_LIMIT_MS,
    socketCloseTimeout: 1_000,
  };
}

/** One step of the exchange; a connection that fails in the middle says so by an event. */
async function step<T>(
  connection: SMTPConnection,
  redact: (text: string) => string,
  unanswered: "later" | "unknown",
  begin: (done: (error?: NodemailerError | null, result?: T) => void) => void,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const ended = () => reject(new Error("the connection was closed"));
  connection.on("error", reject);
  connection.once("end", ended);
  try {
    begin((error, result) => (error ? reject(error) : resolve(result as T)));
    return await promise;
  } catch (error) {
    throw failureOf(error as NodemailerError, redact, unanswered);
  } finally {
    connection.off("end", ended);
  }
}

function failureOf(error: NodemailerError, redact: (text: string) => string, unanswered: "later" | "unknown") {
  const said = redact(error.response ?? error.message)
    .replaceAll(/\s+/g, " ")
    .slice(0, ANSWER_CHARS_MAX);
  const status = error.responseCode;
  if (status !== undefined && status >= 500 && unanswered === "unknown")
    return new DeliveryError("never", `the mail server refused: ${said}`);
  if (status !== undefined && status >= 400)
    return new DeliveryError("later", `the mail server refused for now: ${said}`);
  return new DeliveryError(unanswered, `the mail server did not answer: ${said}`);
}
