import { durationWords } from "../lib/units.ts";
import type { NoticeContent } from "./rows.ts";

/** An open incident in a digest. */
interface OpenLine {
  id: number;
  severity: string | null;
  source: string;
  type: string;
  host: string;
  openS: number;
}

/** What a digest is made of. */
export interface DigestFacts {
  /** As people read it: "2026-11-29 08:00 (Europe/Berlin)". */
  since: string;
  opened: number;
  ended: number;
  /** Of those that ended: nobody did anything about them. */
  endedAlone: number;
  /** Of open ones. */
  counts: readonly { severity: string | null; status: "waiting" | "acknowledged" | "ignored"; count: number }[];
  /** The most urgent of each, the oldest first; not all of them. */
  waiting: readonly OpenLine[];
  acknowledged: readonly OpenLine[];
  ignored: readonly OpenLine[];
  cameBack: readonly { source: string; type: string; host: string; times: number }[];
  lost: readonly { host: string; lostS: number }[];
  lostTotal: number;
}

const SEVERITIES = ["critical", "warning", "info"] as const;

/** The digest in words. There is one of a quiet day, too: it says that somebody looks. */
export function digestOf(facts: DigestFacts): NoticeContent {
  const { since, opened, ended, endedAlone, counts } = facts;
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  const happened = `Since ${since}: ${opened} opened, ${ended} ended, ${endedAlone} of them by themselves.`;
  const isQuiet = total + opened + ended + facts.lostTotal === 0;
  const groups = [
    [isQuiet ? `Nothing happened since ${since}, and no host is lost.` : happened],
    openGroup(facts, "waiting", "nobody has acknowledged", facts.waiting),
    openGroup(facts, "acknowledged", "acknowledged", facts.acknowledged),
    openGroup(facts, "ignored", "ignored", facts.ignored),
    listed(
      "Came back most:",
      facts.cameBack.map((one) => `${one.times} times: ${nameOf(one)}`),
    ),
    listed(
      `Hosts that are lost: ${facts.lostTotal}`,
      facts.lost.map(({ host, lostS }) => `${host}, for ${durationWords(lostS * 1_000)}`),
      facts.lostTotal,
    ),
  ].filter((group) => group.length > 0);
  const lines = groups.flatMap((group, at) => (at === 0 ? group : ["", ...group]));
  return { title: `Daily digest: ${total === 0 ? "nothing is open" : `${total} open${gravestOf(facts)}`}`, lines };
}

function gravestOf({ counts }: DigestFacts): string {
  const critical = counts.filter(({ severity }) => severity === "critical").reduce((sum, { count }) => sum + count, 0);
  return critical === 0 ? "" : `, ${critical} critical`;
}

function openGroup({ counts }: DigestFacts, status: string, word: string, shown: readonly OpenLine[]): string[] {
  const mine = counts.filter((one) => one.status === status);
  const total = mine.reduce((sum, { count }) => sum + count, 0);
  const bySeverity = SEVERITIES.flatMap((severity) => {
    const count = mine.find((one) => one.severity === severity)?.count ?? 0;
    return count === 0 ? [] : [`${count} ${severity}`];
  });
  const title = `Open, ${word}: ${total}${bySeverity.length === 0 ? "" : ` (${bySeverity.join(", ")})`}`;
  return listed(title, shown.map(openLine), total);
}

function openLine({ id, severity, openS, ...one }: OpenLine): string {
  return `#${id} ${severity === null ? "" : `${severity}: `}${nameOf(one)}, for ${durationWords(openS * 1_000)}`;
}

const nameOf = ({ source, type, host }: { source: string; type: string; host: string }) =>
  `${source} (${type}) on ${host}`;

function listed(title: string, lines: readonly string[], total = lines.length): string[] {
  if (lines.length === 0) return [];
  const more = total > lines.length ? [`and ${total - lines.length} more`] : [];
  return [title, ...lines.map((line) => `• ${line}`), ...more];
}
