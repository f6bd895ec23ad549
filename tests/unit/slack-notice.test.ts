import { describe, expect, test } from "bun:test";
import { redact } from "../../src/analysis/redact.ts";
import type { NoticeView } from "../../src/announcements/model.ts";
import { messageOf } from "../../src/slack/message.ts";
import { blockMistakes } from "../support/block-kit.ts";

const told = (changes: Partial<NoticeView>) => {
  const notice = { id: 9, title: "Daily digest", lines: ["nothing is open"], incidentId: null, url: null, ...changes };
  return messageOf({ kind: "notice", notice }, { redact, buttons: true });
};

describe("a notice in Slack", () => {
  test("is a title, a section for each group of lines, and a link, by which it is found again", () => {
    const url = "https://ops.example.com/app/incidents";
    const { text, blocks, metadata } = told({ lines: ["2 open", "• nginx on web-01", "", "1 ignored"], url });
    expect(blockMistakes(blocks)).toEqual([]);
    expect(text).toBe("Daily digest: 2 open");
    expect(blocks.map((one) => JSON.stringify(one))).toEqual([
      expect.stringContaining("Daily digest"),
      expect.stringContaining("2 open\\n• nginx on web-01"),
      expect.stringContaining("1 ignored"),
      expect.stringContaining(`<${url}|Open dashboard>`),
    ]);
    expect(metadata).toEqual({ event_type: "opspilot_notice", event_payload: { notice_id: 9 } });
  });

  test("shows foreign text as it is, nothing of it a mention, a link or a secret, and no more than Slack takes", () => {
    const line = `<!channel> @here <https://evil.example|ok> password=hunter2hunter2 ${"&".repeat(500)}`;
    const { blocks } = told({ title: line, lines: Array.from({ length: 500 }, () => line) });
    expect(blockMistakes(blocks)).toEqual([]);
    const all = JSON.stringify(blocks.slice(1));
    expect(all).not.toMatch(/<[!h]|@here|hunter2/);
    expect(all).toContain("and 440 lines more");
    expect(all.length).toBeLessThan(16_000);
  });
});
