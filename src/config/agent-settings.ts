import { type Static, Type } from "@sinclair/typebox";
import { LOG_LEVELS } from "../lib/log.ts";
import { RawCollectorSettings } from "./agent-collectors.ts";
import { choice, describeSettings, setting, size, text } from "./settings.ts";

const proxy = () => setting("^https?://", "an http or https URL of a proxy");
const hosts = () => text("hosts that are reached without a proxy, separated by commas");

/** The agent's settings as text; those of proxies by the names that other programs know them by, too. */
export const RawAgentSettings = Type.Partial(
  Type.Object({
    OPSPILOT_SERVER: setting("^(wss?|https?)://", "the server's URL, such as wss://ops.example.com"),
    OPSPILOT_TOKEN: setting("^[\\x21-\\x7e]{8,256}$", "8 to 256 printable characters without spaces"),
    OPSPILOT_ALLOW: text("commands with what they may be run on, such as restart_service:nginx,get_logs:*"),
    OPSPILOT_CA: text("the path of a PEM file"),
    OPSPILOT_SPOOL: size("a size such as 64MiB, from 1MiB to 1GiB"),
    OPSPILOT_DOCKER_SOCKET: setting("^/", "the path of Docker's socket"),
    OPSPILOT_DATA_DIR: text("a directory"),
    HTTPS_PROXY: proxy(),
    https_proxy: proxy(),
    HTTP_PROXY: proxy(),
    http_proxy: proxy(),
    NO_PROXY: hosts(),
    no_proxy: hosts(),
    LOG_LEVEL: choice(...LOG_LEVELS),
    ...RawCollectorSettings,
  }),
);
export type RawAgentSettings = Static<typeof RawAgentSettings>;
export type AgentSettingName = keyof RawAgentSettings & string;

/** The agent's. */
export const AGENT_SETTINGS = describeSettings<AgentSettingName>(RawAgentSettings, {
  secrets: ["OPSPILOT_TOKEN", "OPSPILOT_PATTERNS"],
  unquoted: ["OPSPILOT_SERVER", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"],
});
