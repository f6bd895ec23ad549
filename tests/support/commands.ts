import type { Sql } from "postgres";

/** Moves a command's end into the past, and wakes whoever ends commands, as the passing of time would. */
export async function expireCommand(sql: Sql, id: string): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`update commands set expires_at = now() - interval '1 s' where id = ${id}`;
    await tx`select pg_notify('opspilot_commands', '')`;
  });
}
