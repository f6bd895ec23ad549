import { readActor } from "../../protocol/actors.ts";

/** What happened, as one short line: for timelines and the feed of all hosts. */
export interface Happening {
  readonly kind: string;
  readonly actor: string;
  readonly data: Record<string, unknown> | null;
}

/** A line of a timeline in words; kinds of a later version are shown by their name. */
export function eventWords({ kind, actor, data }: Happening): string {
  const text = (name: string) => (typeof data?.[name] === "string" ? (data[name] as string) : "");
  const who = personOf(actor, kind.startsWith("token.") ? "" : text("name"));
  switch (kind) {
    case "opened":
      return withWhy("Opened", "", [text("severity"), text("source")].filter(Boolean).join(" "));
    case "repeated":
      return `Came again${typeof data?.occurrences === "number" ? `, ${data.occurrences} times so far` : ""}`;
    case "superseded":
      return "Closed, since the same problem came anew";
    case "flapping":
      return "Comes and goes";
    case "analysis_requested":
      return `${who} asked to explain it again`;
    case "investigation_requested":
      return actor === "system" ? "A model is to look into it" : `${who} asked a model to look into it`;
    case "looked":
      return `A model looked: ${text("tool").replaceAll("_", " ")}`;
    case "look_refused":
      return withWhy("A model asked for what it may not", "", text("why").replace("not asked: ", ""));
    case "investigation_failed":
      return withWhy("A model looked into it, without an answer", "", text("why"));
    case "explained_by_model":
      return typeof data?.calls === "number" ? "Explained by a model that looked into it" : "Explained by a model";
    case "given_up":
      return "The server gave up explaining it";
    case "announced":
      return withWhy("Told", text("outlet"), text("why"));
    case "withheld":
      return withWhy("Not told", "", text("why"));
    case "announcement_failed":
      return withWhy("Could not be told", text("outlet"), text("error") || text("why"));
    case "consequence":
      return withWhy("Follows from another", "", text("why"));
    case "silence.created":
      return `Silenced by ${who}`;
    case "silence.ended":
      return withWhy("A silence ended", "", text("reason"));
    case "decided":
      return `${who} pressed ${pressWords(text("action"), text("variant"))}`;
    case "feedback":
      return withWhy(`${who}: that was ${text("verdict") === "right" ? "it" : "wrong"}`, "", text("cause"));
    case "command":
      return `Sent to the host: ${[text("command"), text("target")].filter(Boolean).join(" ")}`;
    case "result":
      return `The host answered: ${text("status") || "done"}${exitWords(data?.exit_code)}`;
    case "command.expired":
      return "The host did not answer in time";
    case "outcome":
      return text("outcome") || `${text("action")}: ${text("state").replaceAll("_", " ")}`;
    case "acknowledged":
    case "ignored":
    case "resolved":
      return withWhy(`${capital(kind)}${who === "" ? "" : ` by ${who}`}`, "", text("reason"));
    case "agent.enrolled":
      return "A host enrolled itself";
    case "agent.created":
      return `A host was added by ${who}`;
    case "agent.deleted":
      return `A host was removed by ${who}`;
    case "agent.token_rotated":
      return `A host got a new token from ${who}`;
    case "token.created":
      return `${who} made the token ${text("name")} (${text("role")})`;
    case "token.revoked":
      return `${who} revoked the token ${text("name")}`;
    case "enrolment.created":
      return `${who} made a token for hosts to enrol with`;
    case "enrolment.revoked":
      return `${who} revoked a token for hosts to enrol with`;
    case "session.started":
      return `${who} signed in`;
    case "session.ended":
      return `${who} signed out`;
    case "session.refused":
      return `${capital(who)} could not sign in`;
    case "access.refused":
      return text("reason") === "no_role" ? `${who} has no role here` : `${who} may not ${text("route")}`;
    case "access.guessed":
      return `${capital(who)} gives many wrong credentials`;
    default:
      return capital(kind.replaceAll(/[._]/g, " "));
  }
}

function withWhy(what: string, outlet: string, why: string): string {
  return `${what}${outlet === "" ? "" : ` in ${outlet}`}${why === "" ? "" : `: ${why}`}`;
}

function pressWords(action: string, variant: string): string {
  return variant === "" ? action : `${action} (${variant.replaceAll("_", " ")})`;
}

const exitWords = (code: unknown) => (typeof code === "number" ? `, exit ${code}` : "");
const capital = (text: string) => (text[0] ?? "").toUpperCase() + text.slice(1);

/** A person's name where one is known: actors are as protocol/actors.ts has them. */
export function personOf(actor: string, name = ""): string {
  if (name !== "" && name !== actor) return name;
  if (actor === "agent") return "the host";
  if (actor === "system") return "the server";
  if (actor === "model") return "a model";
  const { way, name: who, address } = readActor(actor);
  if (way === "api" || way === "oidc") return who ?? `somebody at ${address}`;
  return way === "slack" ? `${who} (Slack)` : actor;
}
