DROP INDEX "incidents_urgency";--> statement-breakpoint
CREATE INDEX "agents_listed" ON "agents" USING btree ("created_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "incidents_urgency" ON "incidents" USING btree ((case status when 'acknowledged' then 1 when 'ignored' then 0 else
  case severity when 'critical' then 5 when 'warning' then 4 when 'info' then 2 else 3 end end),"id","status","severity","agent_id") WHERE status <> 'resolved';--> statement-breakpoint
-- An index alone tells of pages that were vacuumed since they changed; by default a fifth of the table has to change first.
ALTER TABLE "incidents" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);