import { Counter, Gauge, type Registry } from "prom-client";

/** What waits for an outlet, and for how long the oldest of it has. */
export interface Backlog {
  outlet: string;
  waiting: number;
  oldestS: number;
}

/** The figures of announcing. `backlog` is asked at each scrape; it answers nothing when it cannot know. */
export function createAnnouncementMetrics(registry: Registry, backlog: () => Promise<readonly Backlog[]>) {
  const registers = [registry];
  const gauge = (name: string, help: string, figure: (one: Backlog) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ["outlet"],
      registers,
      async collect() {
        for (const one of await backlog()) this.set({ outlet: one.outlet }, figure(one));
      },
    });
  gauge("opspilot_announcements_waiting", "Messages that wait to be sent", (one) => one.waiting);
  gauge("opspilot_announcements_oldest_seconds", "Age of the oldest message that waits", (one) => one.oldestS);
  return {
    /** What came of each attempt: sent, adopted, edited, replied, later, unknown, failed, edit_later, edit_failed; decide_failed. */
    attempts: new Counter({
      name: "opspilot_announcements_total",
      help: "Messages that were posted or edited, or could not be, by outlet",
      labelNames: ["outlet", "outcome"],
      registers,
    }),
  };
}

export type AnnouncementMetrics = ReturnType<typeof createAnnouncementMetrics>;
