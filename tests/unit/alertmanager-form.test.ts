import { describe, expect, test } from "bun:test";
import { MESSAGE_ALERTS_MAX, readMessage } from "../../src/integrations/alertmanager.ts";

const NOW_MS = Date.parse("2026-03-01T12:00:00Z");
const HOUR_MS = 3_600_000;

/** As Alertmanager 0.25 sends it. */
const fromAlertmanager = {
  receiver: "opspilot",
  status: "firing",
  alerts: [
    {
      status: "firing",
      labels: { alertname: "HostDown", instance: "db-1.example.org:9100", job: "node", severity: "critical" },
      annotations: {
        description: "no answer for 5m",
        runbook_url: "https://wiki.example.org/down",
        summary: "db-1 is down",
      },
      startsAt: "2026-03-01T11:55:00.123Z",
      endsAt: "0001-01-01T00:00:00Z",
      generatorURL: "http://prometheus.example.org/graph?g0.expr=up",
      fingerprint: "0c6d59d2e8c5a7b1",
    },
  ],
  groupLabels: { alertname: "HostDown" },
  commonLabels: { alertname: "HostDown" },
  commonAnnotations: {},
  externalURL: "http://alertmanager.example.org",
  version: "4",
  groupKey: '{}:{alertname="HostDown"}',
  truncatedAlerts: 3,
};

/** As Grafana's unified alerting sends it. */
const fromGrafana = {
  receiver: "opspilot",
  status: "resolved",
  orgId: 1,
  alerts: [
    {
      status: "resolved",
      labels: { alertname: "High load", grafana_folder: "hosts", host: "web-2" },
      annotations: { summary: "load of web-2" },
      startsAt: "2026-03-01T11:00:00Z",
      endsAt: "2026-03-01T11:59:00Z",
      generatorURL: "https://grafana.example.org/alerting/grafana/abc/view",
      fingerprint: "57c6d9296de2ad39",
      silenceURL: "https://grafana.example.org/alerting/silence/new",
      dashboardURL: "https://grafana.example.org/d/hosts",
      panelURL: "https://grafana.example.org/d/hosts?viewPanel=1",
      imageURL: "",
      values: { A: 9.5 },
      valueString: "[ var='A' labels={} value=9.5 ]",
    },
  ],
  version: "1",
  title: "[RESOLVED] High load",
  state: "ok",
  message: "resolved",
};

type Change = { status?: string; startsAt?: string; labels?: Record<string, string>; [more: string]: unknown };
/** The first alert of Alertmanager's message, changed, as it is brought. */
function broughtOf(change: Change, nowMs = NOW_MS) {
  const [alert] = fromAlertmanager.alerts;
  const { brought } = readMessage({ ...fromAlertmanager, alerts: [{ ...alert, ...change }] }, nowMs);
  if (brought[0] === undefined) throw new Error("nothing is brought");
  return brought[0];
}

describe("the webhook's message", () => {
  test("of Alertmanager: name, words, links, host, age, and how many it left out", () => {
    const { brought, faults, truncated } = readMessage(fromAlertmanager, NOW_MS);
    expect([brought.length, faults, truncated]).toEqual([1, [], 3]);
    expect(brought[0]).toMatchObject({
      key: "0c6d59d2e8c5a7b1",
      hosts: ["db-1.example.org", "db-1"],
      ageMs: 299_877,
      alert: {
        type: "alertmanager",
        source: "HostDown",
        state: "firing",
        severity: "critical",
        message: "HostDown: db-1 is down",
        hostname: "db-1.example.org",
      },
    });
    for (const text of [
      "runbook_url: https://wiki",
      "generator: http://prometheus",
      "no answer for 5m",
      "3 alerts more",
    ])
      expect(brought[0]?.alert.logs).toContain(text);
  });

  test("of Grafana, with what it has beside", () => {
    const { brought, faults } = readMessage(fromGrafana, NOW_MS);
    expect(faults).toEqual([]);
    expect(brought[0]).toMatchObject({
      key: "57c6d9296de2ad39",
      hosts: ["web-2"],
      ageMs: 60_000,
      alert: { source: "High load", state: "resolved", message: "High load: load of web-2" },
    });
    for (const text of ["values: [ var='A'", "dashboard: https", "panel: https", "silence: https"])
      expect(brought[0]?.alert.logs).toContain(text);
  });

  test("is taken without what is wrong in it, which is named", () => {
    const [good] = fromAlertmanager.alerts;
    const message = { alerts: [good, { ...good, status: "odd" }, 5] };
    const { brought, faults } = readMessage(message, NOW_MS);
    expect([brought.length, faults.map(({ field }) => field)]).toEqual([1, ["alerts.1.status", "alerts.2"]]);
    for (const value of [null, "x", {}, { alerts: {} }, { alerts: [], truncatedAlerts: -1 }])
      expect(readMessage(value, NOW_MS)).toMatchObject({ brought: [], faults: [{ message: expect.any(String) }] });
    const many = { alerts: Array(MESSAGE_ALERTS_MAX + 1).fill(good) };
    expect(readMessage(many, NOW_MS)).toMatchObject({ brought: [], faults: [{ field: "alerts" }] });
  });
});

describe("the id of an alert", () => {
  const idOf = (change: Change, nowMs?: number) => broughtOf(change, nowMs).messageId;
  test("is the same for what is sent again, and counts on after six hours", () => {
    expect(idOf({}, NOW_MS + 10_000)).toBe(idOf({}));
    expect(idOf({}, NOW_MS + 6 * HOUR_MS)).not.toBe(idOf({}));
    const over = { status: "resolved", endsAt: "2026-03-01T11:59:00Z" };
    expect(idOf(over, NOW_MS + 60 * HOUR_MS)).toBe(idOf(over));
  });

  test("differs by problem, beginning and end", () => {
    const changes = [{}, { status: "resolved" }, { startsAt: "2026-03-01T11:56:00Z" }, { fingerprint: "1" }];
    expect(new Set(changes.map((change) => idOf(change))).size).toBe(changes.length);
  });

  test("is by the labels, in any order, where there is no fingerprint", () => {
    const one = broughtOf({ fingerprint: "", labels: { a: "1", b: "2" } });
    expect(broughtOf({ fingerprint: null, labels: { b: "2", a: "1" } }).key).toBe(one.key ?? "none");
    expect(broughtOf({ fingerprint: null, labels: { b: "2", a: "2" } }).key).not.toBe(one.key);
  });
});

describe("labels", () => {
  test.each([
    [{ alertname: "X", name: "nginx.service" }, "systemd", "nginx.service"],
    [{ alertname: "X", name: "web", image: "nginx:1" }, "docker", "web"],
    [{ alertname: "X", name: "web" }, "alertmanager", "X"],
    [{ job: "x" }, "alertmanager", "alert"],
    [{ alertname: "X", name: "--help.service" }, "alertmanager", "X"],
    [{ alertname: "ж".repeat(300) }, "alertmanager", "ж".repeat(127)],
  ])("%j are about %s %s", (labels, type, source) => {
    expect(broughtOf({ labels: labels as Record<string, string> }).alert).toMatchObject({ type, source });
  });

  test.each([
    ["severity", "page", "critical"],
    ["severity", "Warning", "warning"],
    ["level", "notice", "info"],
    ["severity", "purple", undefined],
  ])("%s=%s is %s", (label, word, severity) => {
    expect(broughtOf({ labels: { [label]: word } }).alert.severity).toBe(severity as never);
  });

  test.each([
    [{ instance: "https://web-1:443/x" }, ["web-1"]],
    [{ instance: "10.0.0.7:9100" }, ["10.0.0.7"]],
    [{ instance: "localhost:9100", node: "k1.lan" }, ["k1.lan", "k1"]],
    [{ instance: "exporter:9", host: "db-1" }, ["db-1", "exporter"]],
    [{ instance: "[fe80::1]:9100" }, ["fe80::1"]],
  ])("%j name hosts %j", (labels, hosts) => {
    expect([...broughtOf({ labels: labels as unknown as Record<string, string> }).hosts]).toEqual(hosts);
  });
});
