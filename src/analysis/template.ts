import { type Facts, plain } from "./facts.ts";
import type { Evidence } from "./model.ts";

/** Names that may stand in a command; any other is spoken of, but no command is made with it. */
const COMMAND_NAME = /^[\w@][\w@.:/-]{0,199}$/;
/** A fact of a log may stand in a fix only when nobody can hide a command in it. */
const FIX_FACT = /^[\w@./:[\]%+=-]{1,200}$/;
/** A port has a word before it. */
const PORT_FACT = /^(?:UDP )?port \d{1,5}$/;
/** What no text of ours advises, even when a log would have us say it. */
const UNSAFE = /\b(?:rm|kill|chmod|dd|mkfs|shutdown|reboot|curl|wget|sudo)\b|https?:/i;

const CONTAINER_NAMES = /^[0-9a-zA-Z][\w.-]{0,199}$/;

/** How the kind of source is looked at and restarted. */
const commandsOf = ({ type, source }: Evidence): Facts => {
  const safe = COMMAND_NAME.test(source) && !UNSAFE.test(source);
  if (type === "systemd" && safe)
    return {
      logs: `\`journalctl -u ${source} -n 200\``,
      restart: `\`systemctl restart ${source}\``,
      show: `\`systemctl cat ${source}\``,
      edit: `\`systemctl edit ${source}\``,
      status: `\`systemctl status ${source}\``,
    };
  if (type === "docker" && CONTAINER_NAMES.test(source) && safe)
    return {
      logs: `\`docker logs --tail 200 ${source}\``,
      restart: `\`docker restart ${source}\``,
      show: `\`docker inspect ${source}\``,
      edit: "its compose file or run options",
      status: `\`docker stats --no-stream ${source}\``,
    };
  return {
    logs: "its log",
    restart: "start it again",
    show: "its settings",
    edit: "its unit",
    status: "`ps aux --sort=-rss`",
  };
};

const fill = (template: string, value: (name: string) => string | undefined): string => {
  let text = template;
  // Fallbacks hold placeholders themselves: the innermost is filled first, to a bounded depth.
  for (let depth = 0; depth < 4; depth++)
    text = text.replace(/\{(\w{1,40})(?:\|([^{}]{0,200}))?\}/g, (_, name: string, otherwise: string | undefined) => {
      const found = value(name);
      return found === undefined || found === "" ? (otherwise ?? "") : found.replaceAll(/[{}]/g, "");
    });
  return text
    .replaceAll(/ {2,}/g, " ")
    .replaceAll(/ ([.,;:)])(?=\s|$)/g, "$1")
    .trim();
};

/** The cause, with the incident's facts. */
export const causeText = (template: string, evidence: Evidence, facts: Facts): string =>
  fill(template, (name) => (name === "source" ? spoken(evidence.source) : facts[name]));

/** The fix, with the service's name; facts only where they are plain names, paths or addresses. */
export const fixText = (template: string, evidence: Evidence, facts: Facts): string => {
  const commands = commandsOf(evidence);
  const source = spoken(evidence.source);
  const text = fill(template, (name) => {
    if (name === "source") return source;
    const command = commands[name];
    if (command !== undefined) return command;
    const fact = facts[name];
    if (name === "sockets") return fact ?? "ss -ltnp";
    if (name === "port") return fact !== undefined && PORT_FACT.test(fact) ? fact : undefined;
    return fact !== undefined && FIX_FACT.test(fact) && !UNSAFE.test(fact) ? fact : undefined;
  });
  // A command names the service already.
  return text.replaceAll(`${source}\` (${source})`, `${source}\``);
};

/** The source's name as it is said: in one line and without what the templates use. */
export const spoken = (source: string): string => plain(source).replaceAll(/[{}`]/g, "") || "the service";
