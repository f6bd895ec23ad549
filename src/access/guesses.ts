import { Counter, type Registry } from "prom-client";
import type { Clock } from "../lib/clock.ts";
import { createFailureCounter, type FailureCounter, type FailureLimits } from "../lib/failure-counter.ts";
import type { Log } from "../lib/log.ts";
import { apiActor } from "../protocol/actors.ts";
import type { AccessAudit } from "./model.ts";

/** Where wrong credentials are given: to the API and the page's sign-in, or to the agents' stream. */
export type Way = (typeof WAYS)[number];
const WAYS = ["api", "stream"] as const;

interface GuessDeps {
  clock: Clock;
  log: Log;
  registry: Registry;
  audit: Pick<AccessAudit, "refused">;
}

/** Makes the counts of wrong credentials, one for each way in: limited, logged, kept in the audit trail, and told in /metrics. */
export function createGuesses({ clock, log, registry, audit }: GuessDeps) {
  const counter = new Counter({
    name: "opspilot_credentials_refused_total",
    help: "Wrong credentials, by where they were given; limited: more than one address, or one credential, may have wrong in a minute",
    labelNames: ["way", "outcome"] as const,
    registers: [registry],
  });
  // Who looks for an increase does not see one from nothing to 1.
  for (const way of WAYS) for (const outcome of ["refused", "limited"]) counter.inc({ way, outcome }, 0);
  return (way: Way, limits: FailureLimits): FailureCounter => {
    const failures = createFailureCounter(clock, limits, (address) => {
      log.warn({ address, way }, "too many wrong credentials come from an address");
      audit.refused({ kind: "access.guessed", actor: apiActor(null, address), data: { way } });
    });
    return {
      ...failures,
      note(address, credential) {
        const waitS = failures.note(address, credential);
        counter.inc({ way, outcome: waitS > 0 ? "limited" : "refused" });
        return waitS;
      },
    };
  };
}

/** Makes the count of one way in. */
export type CountGuesses = ReturnType<typeof createGuesses>;
