import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { redact } from "../../src/analysis/redact.ts";
import type { IncidentView, StormView } from "../../src/announcements/model.ts";
import type { Feedback } from "../../src/feedback/model.ts";
import { endMessage, messageOf } from "../../src/slack/message.ts";
import { createTexts } from "../../src/slack/text.ts";
import { blockMistakes } from "../support/block-kit.ts";
import { incidentView, stormView } from "../support/slack-views.ts";

const WITH_BUTTONS = { redact, buttons: true };
const plain = (text: string) => text;

function said(incident: IncidentView, options = WITH_BUTTONS): string {
  return JSON.stringify(messageOf({ kind: "incident", incident }, options).blocks);
}

const labelsOf = (incident: IncidentView, buttons = true) => {
  const { blocks } = messageOf({ kind: "incident", incident }, { redact, buttons });
  return blocks.flatMap((block) =>
    block.type !== "actions"
      ? []
      : block.elements.map((one) =>
          one.type === "button" ? one.text.text : one.options.map((option) => option.text.text).join(", "),
        ),
  );
};

/** What ana said of incident 41. */
const word = (changes: Partial<Feedback> = {}): Feedback => ({
  incident_id: 41,
  verdict: "right",
  category: "port_conflict",
  cause: "Port 80 is taken by apache2.",
  fix: "Stop apache2, then start nginx.",
  outcome: null,
  shown_category: "port_conflict",
  shown_cause: "Port 80 is taken by apache2.",
  actor: "slack:U1",
  actor_name: "@ana",
  outlet: "slack",
  given_at: new Date("2026-01-01T00:00:00Z"),
  ...changes,
});
const BY_ANA = "<!date^1767225600^{date_short_pretty} {time}|2026-01-01T00:00:00.000Z> by @ana";
const AT_41 = "(<https://ops.example.com/app/incidents/41|incident 41>)";

describe("what people said of explanations", () => {
  const wordsOf = (changes: Partial<IncidentView>) => {
    const { blocks } = messageOf({ kind: "incident", incident: incidentView(changes) }, WITH_BUTTONS);
    expect(blockMistakes(blocks)).toEqual([]);
    const sections = mrkdwnOf(blocks);
    const from = sections.findIndex((one) => one.startsWith("*Cause*"));
    const to = sections.findIndex((one) => one.startsWith("*Evidence*"));
    return [sections[from]?.split("\n")[0], ...sections.slice(from + 1, to)];
  };
  const SURE = "*Cause* (92 % sure, by a language model)";
  const DOUBTED = "*Cause* (92 % sure, by a language model; said to be wrong)";

  test("stands beneath the cause: that it was it, once it is said", () => {
    expect(wordsOf({ feedback: word({ incident_id: 42 }) })).toEqual([SURE, `*That was it:* ${BY_ANA}`]);
    const own = word({ incident_id: 42, verdict: "wrong", cause: "The *disk* was full", fix: "Larger disk" });
    expect(wordsOf({ feedback: own })).toEqual([
      DOUBTED,
      `*That was wrong:* ${BY_ANA}\nIt was: The ∗disk∗ was full\nWhat helped: Larger disk`,
    ]);
  });

  test("of an explanation that was replaced since is told as such", () => {
    const own = word({
      incident_id: 42,
      verdict: "wrong",
      cause: null,
      category: null,
      fix: null,
      shown_category: "crash",
    });
    expect(wordsOf({ feedback: own })).toEqual([SURE, `*That was wrong:* ${BY_ANA}, of an earlier explanation`]);
  });

  test("of the same problem before is confirmed, with what helped", () => {
    const other = word({ cause: "Another nginx ran", outcome: "restarted by @ana, active again after 4 s" });
    expect(wordsOf({ earlierFeedback: [other] })).toEqual([
      SURE,
      `*Confirmed* ${BY_ANA} ${AT_41}\nIt was: Another nginx ran\nWhat helped: restarted by @ana, active again after 4 s`,
    ]);
    expect(wordsOf({ earlierFeedback: [word()] })).toEqual([SURE, `*Confirmed* ${BY_ANA} ${AT_41}`]);
  });

  test("of the same problem before was wrong: it is no fact now", () => {
    const wrong = word({ verdict: "wrong", cause: null, category: null, fix: null });
    const said = `*This was said to be wrong* ${BY_ANA} ${AT_41}`;
    expect(wordsOf({ earlierFeedback: [wrong] })).toEqual([DOUBTED, said]);
    const better = word({ verdict: "wrong", cause: null, category: "disk_full", fix: null });
    expect(wordsOf({ earlierFeedback: [better] })).toEqual([
      DOUBTED,
      said,
      `*Confirmed* ${BY_ANA} ${AT_41}\nIt was: disk full`,
    ]);
    // Of another explanation; and a later word that it was right after all.
    expect(wordsOf({ earlierFeedback: [{ ...wrong, shown_category: "crash" }] })).toEqual([SURE]);
    expect(wordsOf({ earlierFeedback: [word(), wrong] })).toEqual([SURE, `*Confirmed* ${BY_ANA} ${AT_41}`]);
  });

  test("is said by a menu beside the cause, also once the incident is over", () => {
    const menuOf = (changes: Partial<IncidentView>, buttons = true) => {
      const { blocks } = messageOf({ kind: "incident", incident: incidentView(changes) }, { redact, buttons });
      const cause = blocks.find((block) => block.type === "section" && block.text.text.startsWith("*Cause"));
      const menu = cause?.type === "section" ? cause.accessory : undefined;
      return menu?.type === "overflow" ? menu.options.map(({ text, value }) => [value, text.text]) : undefined;
    };
    const both = [
      ["right", "That was it"],
      ["wrong", "That was wrong"],
    ];
    expect(menuOf({})).toEqual(both);
    expect(menuOf({ status: "resolved" })).toEqual(both);
    expect(menuOf({ explanation: null })).toEqual([["cause", "Say what it was"]]);
    expect(menuOf({}, false)).toBeUndefined();
    expect(menuOf({ id: 0 })).toBeUndefined();
  });
});

describe("an incident's message", () => {
  test("has everything that is known, and is found again by its metadata", () => {
    const { blocks, text, metadata } = messageOf({ kind: "incident", incident: incidentView() }, WITH_BUTTONS);
    expect(blocks[0]).toEqual({
      type: "header",
      text: { type: "plain_text", text: "🔴 Critical on web-1", emoji: false },
    });
    const all = JSON.stringify(blocks);
    for (const part of [
      "*nginx* · service · analyzed",
      "*3 times*, last <!date^1767323045^",
      "*Flapping:* opened 4 times within 60 min",
      "bind() to 0.0.0.0:80 failed",
      "92 % sure, by a language model",
      "Port 80 is taken by apache2.",
      "Address already in use",
      "Stop apache2, then start nginx.",
      "not checked:*\\n```systemctl stop apache2```",
      "Restart cleared this 8 of 9 times.",
      "*Consequences* (12)",
      "and 11 more",
      "same host, a minute later",
      "restarted by @ana, active again after 4 s",
      "The same failure as <https://ops.example.com/app/incidents/41|incident 41>",
      "• <https://ops.example.com/app/incidents/43|43> app: cannot reach nginx",
      "announced: a new incident of severity critical",
      "<https://ops.example.com/app/incidents/42|Incident 42>",
    ]) {
      expect(all).toContain(part);
    }
    expect(text).toContain("nginx (service) on web-1");
    expect(metadata).toEqual({ event_type: "opspilot_incident", event_payload: { incident_id: 42 } });
    expect(blockMistakes(blocks)).toEqual([]);
  });

  test("is the same for the same view", () => {
    expect(said(incidentView())).toBe(said(incidentView()));
  });

  test("has the buttons that make sense, and values with the incident's id only", () => {
    const menu = "Acknowledge, Resolve, Ignore for 1 h, Ignore until it gets worse, Ignore for good";
    expect(labelsOf(incidentView({ url: null }))).toEqual(["Restart", "Logs", "Ignore", menu]);
    expect(labelsOf(incidentView())).toEqual(["Restart", "Logs", "Ignore", "Open dashboard", menu]);
    const can = { restart: false, logs: true, ignore: false, acknowledge: false, resolve: true };
    expect(labelsOf(incidentView({ can }))).toEqual(["Logs", "Resolve, Open dashboard"]);
    const none = { restart: false, logs: false, ignore: false, acknowledge: false, resolve: false };
    expect(labelsOf(incidentView({ can: none, url: null }))).toEqual([]);
    expect(labelsOf(incidentView(), false)).toEqual(["Open dashboard"]);
    const values = [
      ...said(incidentView()).matchAll(/"action_id":"opspilot_(?!more|feedback)\w+"[^}]*\},"value":"([^"]*)"/g),
    ];
    expect(values.map((match) => match[1])).toEqual(["42", "42", "42"]);
  });

  test("offers Investigate in its menu, which has five options at most: Acknowledge is a button then", () => {
    const view = incidentView({ canInvestigate: true });
    const menu = "Investigate, Resolve, Ignore for 1 h, Ignore until it gets worse, Ignore for good";
    expect(labelsOf(view)).toEqual(["Restart", "Logs", "Ignore", "Acknowledge", "Open dashboard", menu]);
    expect(said(view)).toContain('"action_id":"opspilot_acknowledge"');
    expect(blockMistakes(messageOf({ kind: "incident", incident: view }, WITH_BUTTONS).blocks)).toEqual([]);
    const can = { restart: false, logs: true, ignore: false, acknowledge: true, resolve: true };
    expect(labelsOf(incidentView({ can, canInvestigate: true }))).toEqual([
      "Logs",
      "Investigate, Acknowledge, Resolve, Open dashboard",
    ]);
  });

  test("asks before it restarts", () => {
    expect(said(incidentView())).toContain("nginx on web-1 is restarted, and looked after for a minute.");
  });

  test("says how it ended", () => {
    const incident = incidentView({ status: "resolved", reason: "the agent reports recovery", resolvedAt: new Date() });
    expect(said(incident)).toContain("✅ Resolved: 🔴 Critical on web-1");
    expect(said(incident)).toContain("the agent reports recovery");
    const end = endMessage({ kind: "incident", incident }, WITH_BUTTONS);
    expect(end.blocks).toHaveLength(2);
    expect(JSON.stringify(end.blocks)).toContain("<https://ops.example.com/app/incidents/42|Incident 42>");
    expect(JSON.stringify(end.blocks)).toContain("restarted by @ana, active again after 4 s");
    expect(blockMistakes(end.blocks)).toEqual([]);
  });

  test("leads to the page where that has an address, and nowhere else", () => {
    const parts = { status: "resolved", parentId: 40, resolvedAt: new Date(0) } as const;
    const urlsOf = (incident: IncidentView) =>
      [messageOf, endMessage].map((make) => {
        const text = JSON.stringify(make({ kind: "incident", incident }, WITH_BUTTONS).blocks);
        return [...new Set(text.match(/https?:[^|"]+/g) ?? [])].sort();
      });
    const at = (id: number) => `https://ops.example.com/app/incidents/${id}`;
    expect(urlsOf(incidentView(parts))).toEqual([[at(40), at(41), at(42), at(43)], [at(42)]]);
    expect(urlsOf(incidentView({ ...parts, url: null }))).toEqual([[], []]);
  });

  test("names what follows from it without links where there is no room for them", () => {
    const url = `https://ops.example.com/${"x".repeat(900)}/app/incidents/42`;
    const consequences = Array.from({ length: 5 }, (_, n) => ({
      id: 50 + n,
      source: "app",
      message: "down",
      reason: null,
    }));
    const { blocks } = messageOf({ kind: "incident", incident: incidentView({ url, consequences }) }, WITH_BUTTONS);
    expect(blockMistakes(blocks)).toEqual([]);
    expect(JSON.stringify(blocks)).toContain("• 54 app: down");
  });

  test("does without an explanation", () => {
    expect(said(incidentView({ explanation: null }))).toContain("not known yet");
  });
});

describe("foreign text", () => {
  test.each([
    ["a mention of all", "<!channel> help"],
    ["a mention of a person", "<@U0ANA00001> help"],
    ["a forged link", "<https://evil.example|Open dashboard>"],
    ["a forged date", "<!date^1^{date}^https://evil.example|x>"],
    ["the end of a code block", "``` <!here> *Resolved*"],
  ])("cannot be %s", (_, hostile) => {
    const incident = incidentView({
      hostname: hostile,
      type: hostile,
      source: hostile,
      message: hostile,
      reason: hostile,
      why: hostile,
      explanation: {
        by: "model",
        category: "x",
        confidence: 1,
        cause: hostile,
        fix: hostile,
        fixCommand: hostile,
        evidence: [hostile],
      },
      consequences: [{ id: 1, source: hostile, message: hostile, reason: hostile }],
    });
    const { blocks } = messageOf({ kind: "incident", incident }, WITH_BUTTONS);
    for (const text of mrkdwnOf(blocks)) {
      expect(
        text
          .replaceAll(/<!date\^\d+\^\{date_short_pretty\} \{time\}\|[\dTZ:.-]+>/g, "")
          .replaceAll(/<https:\/\/ops\.example\.com\/app\/incidents\/(\d+)\|([Ii]ncident )?\1>/g, ""),
      ).not.toMatch(/[<>]/);
      expect(text.split("```").length % 2).toBe(1);
    }
  });

  test("is no mention of many, however it is written", () => {
    const all = said(incidentView({ message: "@channel @Here @ever\u200byone", source: "@channel" }));
    expect(all).not.toMatch(/@(channel|here|everyone)/i);
  });

  test("loses its secrets, those with hidden characters in them, too", () => {
    const secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    const all = said(incidentView({ message: `token ${secret} ${secret.slice(0, 10)}\u200b${secret.slice(10)}` }));
    expect(all).not.toContain(secret.slice(10));
    expect(all).toContain("[redacted:");
  });

  test("keeps whole characters where it is cut", () => {
    const texts = createTexts(plain);
    expect(texts.line("&&&&", 11)).toBe("&amp;&amp;…");
    expect(texts.line("😀😀😀", 5)).toBe("😀😀…");
    expect(texts.line("ab", 2)).toBe("ab");
    expect(texts.code("", 20)).toBe("``` ```");
  });

  test("loses a terminal's colours", () => {
    expect(createTexts(plain).line("\u001b[1;31mred\u001b[0m", 100)).toBe("red");
  });

  test("keeps its commands readable in prose, and opens no code block", () => {
    const texts = createTexts(plain);
    expect(texts.prose("run `df -h`, then ```x``` *now*", 100)).toBe("run `df -h`, then ˋxˋ ∗now∗");
  });

  test("shows no half of a secret that was cut", () => {
    const secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    const texts = createTexts(redact);
    const cut = texts.line(`${" ".repeat(65_536 - 20)}${secret}`, 500);
    expect(cut).not.toContain("ghp_");
  });
});

describe("whatever the input, Slack takes the message", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.string({
      unit: fc.constantFrom(
        "<",
        ">",
        "&",
        "`",
        "*",
        "@channel",
        "<!here>",
        "\n",
        " ",
        "\u202e",
        "\u200b",
        "😀",
        "\ud800",
      ),
      maxLength: 2_000,
    }),
    fc
      .tuple(fc.string({ unit: "grapheme", minLength: 1, maxLength: 5 }), fc.integer({ min: 0, max: 20_000 }))
      .map(([text, times]) => text.repeat(times)),
  );
  const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });
  const can = fc.record({
    restart: fc.boolean(),
    logs: fc.boolean(),
    ignore: fc.boolean(),
    acknowledge: fc.boolean(),
    resolve: fc.boolean(),
  });
  const at = fc.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true });
  const url = fc.webUrl({ withQueryParameters: true, withFragments: true });
  const category = fc.constantFrom("port_conflict", "disk_full", "unknown");
  const word: fc.Arbitrary<Feedback> = fc.record({
    incident_id: fc.integer({ min: 1, max: 2_147_483_647 }),
    verdict: fc.constantFrom("right", "wrong"),
    category: maybe(category),
    cause: maybe(hostile),
    fix: maybe(hostile),
    outcome: maybe(hostile),
    shown_category: maybe(category),
    shown_cause: maybe(hostile),
    actor: hostile,
    actor_name: hostile,
    outlet: fc.constant("slack"),
    given_at: at,
  });
  const incident: fc.Arbitrary<IncidentView> = fc.record({
    canInvestigate: fc.boolean(),
    id: fc.integer({ min: 1, max: 2_147_483_647 }),
    agentId: fc.uuid(),
    hostname: maybe(hostile),
    type: hostile,
    source: hostile,
    severity: maybe(fc.constantFrom("info", "warning", "critical")),
    status: fc.constantFrom("new", "analyzed", "acknowledged", "ignored", "resolved"),
    occurrences: fc.integer({ min: 1 }),
    createdAt: at,
    lastSeenAt: at,
    resolvedAt: maybe(at),
    reason: maybe(hostile),
    message: hostile,
    explanation: maybe(
      fc.record({
        by: fc.constantFrom("heuristic", "model"),
        category: fc.oneof(hostile, category),
        confidence: fc.double({ min: -1, max: 2, noNaN: true }),
        cause: hostile,
        fix: hostile,
        fixCommand: maybe(hostile),
        evidence: fc.array(hostile, { maxLength: 30 }),
      }),
    ),
    feedback: maybe(word),
    earlierFeedback: fc.array(word, { maxLength: 5 }),
    why: hostile,
    flapping: maybe(fc.record({ times: fc.nat(), windowMs: fc.nat() })),
    learnt: maybe(fc.record({ cleared: fc.nat(), tried: fc.nat() })),
    consequences: fc.array(fc.record({ id: fc.nat(), source: hostile, message: hostile, reason: maybe(hostile) }), {
      maxLength: 40,
    }),
    consequencesTotal: fc.nat(),
    parentId: maybe(fc.nat()),
    previousId: maybe(fc.nat()),
    decisions: fc.array(
      fc.record({
        id: fc.uuid(),
        action: fc.constantFrom("restart", "logs", "ignore", "acknowledge", "resolve"),
        variant: maybe(fc.string()),
        actorName: hostile,
        state: hostile,
        outcome: maybe(hostile),
        requestedAt: at,
        ended: fc.boolean(),
      }),
      { maxLength: 30 },
    ),
    can,
    url: maybe(url),
  });
  const storm: fc.Arbitrary<StormView> = fc.record({
    id: fc.nat(),
    startedAt: at,
    endedAt: maybe(at),
    total: fc.nat(),
    open: fc.nat(),
    byHost: fc.array(fc.record({ hostname: hostile, count: fc.nat() }), { maxLength: 40 }),
    byCategory: fc.array(fc.record({ category: hostile, count: fc.nat() }), { maxLength: 40 }),
    newest: fc.array(
      fc.record({
        id: fc.nat(),
        hostname: maybe(hostile),
        type: hostile,
        source: hostile,
        message: hostile,
        severity: maybe(hostile),
      }),
      { maxLength: 40 },
    ),
    url: maybe(url),
  });

  test("of an incident", () => {
    fc.assert(
      fc.property(incident, fc.boolean(), (one, buttons) => {
        for (const message of [
          messageOf({ kind: "incident", incident: one }, { redact: plain, buttons }),
          endMessage({ kind: "incident", incident: one }, { redact: plain, buttons }),
        ]) {
          expect(blockMistakes(message.blocks)).toEqual([]);
          expect(message.text.length).toBeLessThanOrEqual(3_000);
          expect(JSON.stringify(message.blocks).length).toBeLessThanOrEqual(40_000);
          for (const text of mrkdwnOf(message.blocks)) expectInert(text);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("of a storm", () => {
    fc.assert(
      fc.property(storm, (one) => {
        const { blocks } = messageOf({ kind: "storm", storm: one }, { redact: plain, buttons: true });
        expect(blockMistakes(blocks)).toEqual([]);
        for (const text of mrkdwnOf(blocks)) expectInert(text);
      }),
      { numRuns: 100 },
    );
  });

  const holding = (count: number, sourceOf: (n: number) => string) =>
    Array.from({ length: count }, (_, n) => {
      const kind = n % 2 === 0 ? "disk_full" : "systemd";
      return { id: 1_000 + n, hostname: `web-${Math.floor(n / 10)}`, kind, source: sourceOf(n) };
    }).sort((a, b) => a.hostname.localeCompare(b.hostname) || a.kind.localeCompare(b.kind));

  test("of a storm of two hundred names all that it holds, by host and kind", () => {
    const held = holding(180, (n) => `service-${n}`);
    const storm = stormView({ total: 180, held, url: "https://ops.example.com/app/incidents" });
    const { blocks } = messageOf({ kind: "storm", storm }, WITH_BUTTONS);
    expect(blockMistakes(blocks)).toEqual([]);
    const said = mrkdwnOf(blocks).join("\n");
    for (const { id, source } of held) expect(said).toContain(`${id} ${source}`);
    expect(said).toContain("• *web-0* disk_full: 1000 service-0, 1002 service-2");
    expect(said).not.toContain(" more");
  });

  test("of a storm that is too large for one message names what fits, and the rest by a link", () => {
    const held = holding(500, (n) => `${n}-a-service-with-a-very-long-name-<&>-${"x".repeat(40)}`);
    const storm = stormView({ total: 2_000, held, url: "https://ops.example.com/app/incidents" });
    const { blocks } = messageOf({ kind: "storm", storm }, WITH_BUTTONS);
    expect(blockMistakes(blocks)).toEqual([]);
    const texts = mrkdwnOf(blocks);
    for (const text of texts) expectInert(text);
    expect(texts.join("").length).toBeLessThan(12_000);
    const named = texts.join("\n").match(/\d{4} \d+-a-service/g)?.length ?? 0;
    expect(named).toBeGreaterThan(80);
    expect(texts.join("\n")).toContain(
      `and ${2_000 - named} more: <https://ops.example.com/app/incidents|Open dashboard>`,
    );
  });

  test("of a storm leads to its newest incidents, and to all of them", () => {
    const url = "https://ops.example.com/app/incidents";
    const said = (storm: StormView) => JSON.stringify(messageOf({ kind: "storm", storm }, WITH_BUTTONS).blocks);
    expect(said(stormView({ url }))).toContain(`• <${url}/43|43> critical app on web-1: no space left`);
    expect(said(stormView({ url }))).toContain(`<${url}|Open dashboard>`);
    expect(said(stormView())).not.toContain("http");
  });

  test("of a quiet storm", () => {
    const { blocks, metadata } = messageOf({ kind: "storm", storm: stormView() }, WITH_BUTTONS);
    expect(JSON.stringify(blocks)).toContain("143 incidents, 140 open");
    expect(metadata).toEqual({ event_type: "opspilot_storm", event_payload: { storm_id: 7 } });
  });
});

/** Only dates and links of ours stand between angle brackets, and no fence is left open. */
function expectInert(text: string): void {
  const marks = [...text.matchAll(/<[^>]*>?/g)].map((match) => match[0]);
  for (const mark of marks)
    expect(mark).toMatch(
      /^<(!date\^-?\d+\^\{date_short_pretty\} \{time\}\|[^|<>]*|https?:\/\/[^|<>]*\|([Ii]ncident \d+|\d+|Open dashboard))>$/,
    );
  expect(text.replaceAll(/<[^>]*>/g, "")).not.toMatch(/[<>]/);
  expect(text.split("```").length % 2).toBe(1);
  expect(text).not.toMatch(/[\u202e\u200b]|@channel/);
}

function mrkdwnOf(blocks: ReturnType<typeof messageOf>["blocks"]): string[] {
  return blocks.flatMap((block) => {
    if (block.type === "section") return [block.text.text];
    return block.type === "context" ? block.elements.map((one) => one.text) : [];
  });
}
