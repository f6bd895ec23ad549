DROP INDEX "incidents_status";--> statement-breakpoint
CREATE INDEX "incidents_urgency" ON "incidents" USING btree ((case status when 'acknowledged' then 1 when 'ignored' then 0 else
  case severity when 'critical' then 5 when 'warning' then 4 when 'info' then 2 else 3 end end),"id") WHERE status <> 'resolved';--> statement-breakpoint
CREATE INDEX "incidents_resolved" ON "incidents" USING btree ("resolved_at") WHERE status = 'resolved';