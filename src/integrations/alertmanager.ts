/**
 * The webhook of Alertmanager (its form 4, since 0.5; https://prometheus.io/docs/alerting/latest/configuration/#webhook_config), and that
 * of Grafana's unified alerting, which is the same with some fields more
 * (https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/).
 */
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { hashUuid, sha256Hex } from "../lib/hash.ts";
import type { AlertPayload, Severity } from "../protocol/frames.ts";
import { ALERT_AGE_SECONDS_MAX, LOGS_BYTES_MAX, MESSAGE_BYTES_MAX } from "../protocol/limits.ts";
import { keepEnds, keepHead } from "../protocol/text.ts";
import type { BroughtAlert } from "./model.ts";

const Texts = Type.Record(Type.String(), Type.String());
const Optional = Type.Optional(Type.Union([Type.String(), Type.Null()]));

const Alert = Type.Object({
  status: Type.Union([Type.Literal("firing"), Type.Literal("resolved")]),
  labels: Texts,
  annotations: Type.Optional(Type.Union([Texts, Type.Null()])),
  startsAt: Type.String(),
  endsAt: Optional,
  generatorURL: Optional,
  fingerprint: Optional,
  dashboardURL: Optional,
  panelURL: Optional,
  silenceURL: Optional,
  valueString: Optional,
});
type Alert = Static<typeof Alert>;

const Message = Type.Object({
  alerts: Type.Array(Type.Unknown()),
  externalURL: Optional,
  truncatedAlerts: Type.Optional(Type.Integer({ minimum: 0 })),
});

/** What of one message is taken, and what is wrong with the rest, by field. */
export interface ReadMessage {
  readonly brought: readonly BroughtAlert[];
  readonly faults: readonly { field: string; message: string }[];
  /** Alerts of the group that the sender left out. */
  readonly truncated: number;
}

/** Within it, what still fires and is sent again is the same; after that it is news that it still fires. */
const REPEAT_MS = 6 * 3_600_000;
/** More are taken for somebody's mistake. */
export const MESSAGE_ALERTS_MAX = 10_000;

/** Takes a webhook's message apart; `nowMs` is Unix milliseconds. Never throws. */
export function readMessage(value: unknown, nowMs: number): ReadMessage {
  if (!Value.Check(Message, value)) return { brought: [], faults: [faultOf(Message, value, "body")], truncated: 0 };
  const { alerts, truncatedAlerts: truncated = 0 } = value;
  if (alerts.length > MESSAGE_ALERTS_MAX) {
    const message = `expected at most ${MESSAGE_ALERTS_MAX}`;
    return { brought: [], faults: [{ field: "alerts", message }], truncated };
  }
  const brought: BroughtAlert[] = [];
  const faults: { field: string; message: string }[] = [];
  for (const [at, alert] of alerts.entries()) {
    if (Value.Check(Alert, alert)) brought.push(broughtOf(alert, truncated, nowMs));
    else faults.push(faultOf(Alert, alert, `alerts.${at}`));
  }
  return { brought, faults, truncated };
}

function faultOf(schema: typeof Alert | typeof Message, value: unknown, field: string) {
  const error = Value.Errors(schema, value).First();
  const path = error?.path.slice(1).replaceAll("/", ".") ?? "";
  return { field: path === "" ? field : `${field}.${path}`, message: error?.message ?? "unexpected value" };
}

function broughtOf(alert: Alert, truncated: number, nowMs: number): BroughtAlert {
  const { labels, status, fingerprint } = alert;
  const key = fingerprint || sha256Hex(JSON.stringify(Object.entries(labels).sort(byName))).slice(0, 16);
  const isFiring = status === "firing";
  const ageMs = ageOf(isFiring ? alert.startsAt : (alert.endsAt ?? ""), nowMs);
  const turn = isFiring ? Math.floor(nowMs / REPEAT_MS) : `over\0${alert.endsAt ?? ""}`;
  const payload = payloadOf(alert, truncated);
  return {
    alert: payload,
    messageId: hashUuid([key, alert.startsAt, turn].join("\0")),
    key,
    hosts: hostsIn(labels),
    ageMs,
    sizeBytes: Buffer.byteLength(payload.message) + Buffer.byteLength(payload.logs ?? ""),
  };
}

const byName = ([a]: [string, string], [b]: [string, string]) => (a < b ? -1 : 1);

/** Nothing where it is not said, or lies ahead: 0001-01-01 means that it is not known. */
function ageOf(instant: string, nowMs: number): number {
  const ms = Date.parse(instant);
  const isKnown = Number.isFinite(ms) && ms > 0;
  return isKnown ? Math.min(Math.max(0, nowMs - ms), ALERT_AGE_SECONDS_MAX * 1000) : 0;
}

const SOURCE_BYTES_MAX = 255;
const HOST_CHARS_MAX = 255;
const UNIT = /^[A-Za-z0-9][A-Za-z0-9:_.@\\-]{0,246}\.(service|timer|socket|mount)$/;
const CONTAINER = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/;

function payloadOf(alert: Alert, truncated: number): AlertPayload {
  const { labels, annotations } = alert;
  const name = labels.alertname || "alert";
  const words = annotations?.summary || annotations?.message || annotations?.title || annotations?.description;
  const severity = severityOf(labels.severity ?? labels.level ?? labels.priority);
  const host = hostsIn(labels)[0];
  return {
    ...subjectOf(labels, name),
    message: keepEnds(words ? `${name}: ${words.trim()}` : name, MESSAGE_BYTES_MAX),
    logs: keepEnds(detailsOf(alert, truncated).join("\n"), LOGS_BYTES_MAX),
    state: alert.status,
    ...(severity && { severity }),
    ...(host && { hostname: host.slice(0, HOST_CHARS_MAX) }),
  };
}

/** A unit of systemd or a container is what an agent on its host calls so, and can restart. */
function subjectOf(labels: Record<string, string>, alertname: string): { type: string; source: string } {
  const { name = "", image } = labels;
  if (UNIT.test(name)) return { type: "systemd", source: name };
  if (image && CONTAINER.test(name)) return { type: "docker", source: name };
  return { type: "alertmanager", source: keepHead(alertname, SOURCE_BYTES_MAX) || "alert" };
}

const SEVERITIES: Readonly<Record<Severity, readonly string[]>> = {
  critical: [
    "critical",
    "crit",
    "page",
    "emergency",
    "emerg",
    "fatal",
    "disaster",
    "error",
    "high",
    "major",
    "p0",
    "p1",
  ],
  warning: ["warning", "warn", "medium", "average", "minor", "p2", "p3"],
  info: ["info", "information", "informational", "notice", "none", "low", "debug", "p4", "p5"],
};

/** Null for a word that nobody knows: then the explanation says how bad it is. */
function severityOf(word: string | undefined): Severity | null {
  const known = word?.toLowerCase() ?? "";
  const found = Object.entries(SEVERITIES).find(([, words]) => words.includes(known));
  return (found?.[0] as Severity | undefined) ?? null;
}

const HOST_LABELS = ["host", "hostname", "nodename", "node", "server", "instance"];

/** The names by which the host may be known here: what its labels say, without a port, and each without its domain. */
function hostsIn(labels: Record<string, string>): string[] {
  const said = HOST_LABELS.map((label) => hostOf(labels[label] ?? ""));
  const full = said.filter((name) => name !== "" && name !== "localhost");
  return [...new Set([...full, ...full.flatMap(withoutDomain)])];
}

/** Without what a URL has around it, and without the port. */
function hostOf(said: string): string {
  const address = said.replace(/^https?:\/\//, "");
  return /^\[([^\]]*)\]/.exec(address)?.[1] ?? address.replace(/[:/].*$/, "");
}

/** An address has none. */
function withoutDomain(name: string): string[] {
  const [first = "", ...rest] = name.split(".");
  return rest.length === 0 || /^\d+$/.test(first) ? [] : [first];
}

/** What there is beside the words: for whoever looks, and for the explanation. */
function detailsOf(alert: Alert, truncated: number): string[] {
  const { labels, annotations, startsAt, endsAt, status } = alert;
  const links = Object.entries({
    generator: alert.generatorURL,
    dashboard: alert.dashboardURL,
    panel: alert.panelURL,
    silence: alert.silenceURL,
  });
  return [
    ...Object.entries(annotations ?? {}).map(([name, text]) => `${name}: ${text}`),
    ...(alert.valueString ? [`values: ${alert.valueString}`] : []),
    `labels: ${Object.entries(labels)
      .sort(byName)
      .map(([name, text]) => `${name}=${JSON.stringify(text)}`)
      .join(" ")}`,
    `since: ${startsAt}`,
    ...(status === "resolved" && endsAt ? [`until: ${endsAt}`] : []),
    ...links.flatMap(([name, url]) => (url ? [`${name}: ${url}`] : [])),
    ...(truncated > 0 ? [`${truncated} alerts more of this group were left out by the sender (max_alerts)`] : []),
  ];
}
