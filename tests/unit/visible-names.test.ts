import { describe, expect, test } from "bun:test";
import { tableOf } from "../../src/cli/token-services.ts";
import { visibleName } from "../../src/protocol/names.ts";
import { endMessage, messageOf } from "../../src/slack/message.ts";
import { nameText } from "../../src/web/lib/text.ts";
import { incidentView, stormView } from "../support/slack-views.ts";

const SHOWN: [string, string, string][] = [
  ["a Cyrillic letter among Latin ones", "w\u0435b-1", "w\u27e8U+0435\u27e9b-1"],
  ["a Greek one", "ngin\u03c7", "ngin\u27e8U+03C7\u27e9"],
  ["a phonetic one", "n\u0261inx.service", "n\u27e8U+0261\u27e9inx.service"],
  ["wide letters", "\uff4eginx", "\u27e8U+FF4E\u27e9ginx"],
  ["bold ones", "\u{1d427}ginx", "\u27e8U+1D427\u27e9ginx"],
  ["a name of another script", "\u0441\u0435\u0440\u0432\u0435\u0440-1", "\u0441\u0435\u0440\u0432\u0435\u0440-1"],
  [
    "scripts in words of their own",
    "db-\u043c\u043e\u0441\u043a\u0432\u0430",
    "db-\u043c\u043e\u0441\u043a\u0432\u0430",
  ],
  ["letters of Latin languages", "büro-łódź-ığdır", "büro-łódź-ığdır"],
  ["what hosts are called mostly", "web-1.eu_west@x:8080", "web-1.eu_west@x:8080"],
];

test.each(SHOWN)("a name with %s", (_, name, shown) => {
  expect(visibleName(name)).toBe(shown);
});

describe("in Slack", () => {
  const FALSE_NAME = "w\u0435b-1";
  const TRUE_NAME = "w\u27e8U+0435\u27e9b-1";
  const incident = incidentView({
    hostname: FALSE_NAME,
    source: FALSE_NAME,
    type: FALSE_NAME,
    consequences: [{ id: 9, source: FALSE_NAME, message: "x", reason: null }],
    consequencesTotal: 1,
  });
  const options = { redact: (text: string) => text, buttons: true };

  test("it is so in each place of an incident's message, also where a restart is confirmed", () => {
    for (const message of [
      messageOf({ kind: "incident", incident }, options),
      endMessage({ kind: "incident", incident }, options),
    ]) {
      expect(JSON.stringify(message)).toContain(TRUE_NAME);
      expect(JSON.stringify(message)).not.toContain(FALSE_NAME);
    }
  });

  test("it is so in a storm's", () => {
    const one = { id: 1, hostname: FALSE_NAME, type: "systemd", source: FALSE_NAME, message: "x", severity: null };
    const storm = stormView({
      byHost: [{ hostname: FALSE_NAME, count: 3 }],
      newest: [one],
      held: [{ id: 1, hostname: FALSE_NAME, kind: "crash", source: FALSE_NAME }],
    });
    expect(JSON.stringify(messageOf({ kind: "storm", storm }, options))).not.toContain(FALSE_NAME);
  });

  test("no name calls anybody, or turns what stands beside it", () => {
    const hostile = "<!channel> @here <@U0ANA00001> \u202e1-bew \u2066x\u200b";
    const { blocks } = messageOf(
      { kind: "incident", incident: incidentView({ hostname: hostile, source: hostile }) },
      options,
    );
    // Of plain text Slack reads nothing.
    const marked = blocks.filter(({ type }) => type === "section" || type === "context");
    expect(JSON.stringify(marked)).not.toMatch(/<!channel|<@U0ANA|@here/);
    expect(JSON.stringify(blocks)).not.toMatch(/[\u202e\u2066\u200b]/);
  });
});

test("on the page marks of direction are shown, too", () => {
  expect(nameText("\u202e1-b\u0435w")).toBe("\u27e8U+202E\u27e91-b\u27e8U+0435\u27e9w");
});

test("in a terminal no name moves the cursor, makes a row of its own or shows as another", () => {
  const hostile = "w\u0435b-1\u001b[2J\u001b]0;title\u0007\r\nweb-2  online\u202e\u200b";
  expect(tableOf(["host", "state"], [[hostile, "offline"]])).toBe(
    `host                                       state
w\u27e8U+0435\u27e9b-1 web-2 online\u27e8U+202E\u27e9\u27e8U+200B\u27e9  offline
`,
  );
});
