-- Heartbeats change an agent's row all the time, repeats an incident's: room on the page keeps these updates out of the
-- indexes (HOT), and lets each page be cleaned when it is read.
ALTER TABLE "agents" SET (fillfactor = 70);--> statement-breakpoint
ALTER TABLE "incidents" SET (fillfactor = 85);
