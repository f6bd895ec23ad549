/**
 * Says again what is critical, and nobody has acknowledged: beneath its message where the outlet has threads, else as a notice. A
 * row for each time, by its number, so that no restart and no other node says it twice. What somebody muted meanwhile is not said.
 */
import type { Sql, TransactionSql } from "postgres";
import type { Candidate, Muter } from "../incidents/model.ts";
import { durationWords } from "../lib/units.ts";
import type { Notifier, Reply } from "./model.ts";
import type { OutletStore } from "./outlet-store.ts";
import type { NoticeContent } from "./rows.ts";

const SUBJECT = "remind-";
/** Looked at together. */
const DUE_MAX = 200;

/** Whether what is said beneath a message, or about it, only asks that somebody acknowledges it. */
export const isReminder = (subject: string) => subject.startsWith(SUBJECT);

/** How often is said again what nobody acknowledges, and what keeps it from being said. */
export interface RemindOptions {
  readonly everyMs: number;
  readonly muters: readonly Muter[];
}

interface ReminderDeps extends RemindOptions {
  sql: Sql;
  store: Pick<OutletStore, "lockRows" | "isLead">;
  notifier: Pick<Notifier, "outlet" | "reply" | "reminds">;
}

interface DueReminder {
  id: number;
  /** Of its message. */
  rowId: number;
  /** Since people were told, seconds. */
  forS: number;
  /** The how manieth it is. */
  nth: number;
}

/** Makes the reminders of one lead of an outlet. */
export function createReminders({ sql, store, notifier, everyMs, muters }: ReminderDeps) {
  const { outlet, reply } = notifier;
  const kind = reply === null ? "notice" : "reply";

  async function mutedOf(tx: TransactionSql, incidents: readonly Candidate[]): Promise<Set<number>> {
    const muted = new Set<number>();
    for (const muter of muters) for (const id of (await muter.mutes(tx, incidents, outlet)).keys()) muted.add(id);
    return muted;
  }

  async function remind(tx: TransactionSql, due: readonly DueReminder[]): Promise<void> {
    const rows = await store.lockRows(
      tx,
      due.map(({ id }) => id),
    );
    const incidents = rows.filter((row) => row.outlet === outlet).map(({ incident }) => incident);
    const muted = await mutedOf(tx, incidents);
    for (const incident of incidents.filter(({ id }) => !muted.has(id))) {
      const one = due.find(({ id }) => id === incident.id);
      if (one) await add(tx, incident, one);
    }
  }

  async function add(tx: TransactionSql, incident: Candidate, { forS, nth }: DueReminder): Promise<void> {
    const content = kind === "reply" ? replyOf(forS) : noticeOf(incident, forS);
    await tx`
      insert into announcements (kind, incident_id, outlet, subject, state, why, content)
      select ${kind}, ${incident.id}, ${outlet}, ${`${SUBJECT}${nth}`}, 'waiting', 'nobody has acknowledged it', ${tx.json(content as never)}
      where ${store.isLead()}
      on conflict do nothing`;
  }

  return {
    /** Says again what is due. What is muted stays due, and holds up nothing behind it. */
    async sayDue(): Promise<void> {
      if (notifier.reminds === false) return;
      for (let due = await findDue(0); due.length > 0; due = await findDue(due.at(-1)?.rowId ?? 0)) {
        await sql.begin((tx) => remind(tx, due));
        if (due.length < DUE_MAX) return;
      }
    },
  };

  function findDue(afterId: number): Promise<DueReminder[]> {
    return sql<DueReminder[]>`
        select a.id::float8 as "rowId", a.incident_id as id, extract(epoch from now() - a.sent_at)::float8 as "forS", r.nth + 1 as nth
        from announcements a join incidents i on i.id = a.incident_id
        cross join lateral (
          select coalesce(max(substr(r.subject, ${SUBJECT.length + 1})::int), 0) as nth, max(r.created_at) as last from announcements r
          where r.incident_id = a.incident_id and r.outlet = a.outlet and r.kind = ${kind} and r.subject like ${`${SUBJECT}%`}) r
        where a.outlet = ${outlet} and a.id > ${afterId} and a.kind = 'incident' and a.subject = '' and a.state = 'sent' and a.closed_at is null
          and i.severity = 'critical' and i.status in ('new', 'analyzed')
          and greatest(a.sent_at, r.last) <= now() - ${everyMs} * interval '1 ms' and ${store.isLead()}
        order by a.id limit ${DUE_MAX}`;
  }
}

function replyOf(forS: number): Reply {
  const text = `Still open after ${durationWords(forS * 1_000)}, and nobody has acknowledged it.`;
  return { text, file: null, isLoud: true };
}

function noticeOf({ source, type, hostname, agentId }: Candidate, forS: number): NoticeContent {
  const title = `Still open after ${durationWords(forS * 1_000)}: ${source} (${type}) on ${hostname ?? agentId}`;
  return { title, lines: ["It is critical, and nobody has acknowledged it."] };
}
