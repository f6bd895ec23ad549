import { broken, doubtful, type Finding, fine } from "../../lib/finding.ts";

/** Times of alerts and of presence are compared across this. */
const DOUBTFUL_S = 5;
/** Slack refuses, and is refused, at five minutes; what is silent is decided by less. */
const BROKEN_S = 60;

/** A clock that ours was compared with. */
export interface OtherClock {
  readonly whose: string;
  /** How far it is ahead of ours. */
  readonly skewS: number;
}

/** What a comparison with other clocks says about ours. */
export function checkClock(others: readonly OtherClock[]): Finding {
  const name = "clock";
  const worst = others.toSorted((a, b) => Math.abs(b.skewS) - Math.abs(a.skewS))[0];
  if (!worst) return fine(name, "there was no other clock to compare this machine's with");
  const apart = `${Math.abs(worst.skewS).toFixed(1)} s`;
  const text = `this machine's clock is ${apart} ${worst.skewS > 0 ? "behind" : "ahead of"} that of ${worst.whose}`;
  if (Math.abs(worst.skewS) <= DOUBTFUL_S) return fine(name, `within ${apart} of ${worst.whose}`);
  const todo = "let both machines take their time from the network (timedatectl set-ntp true)";
  return Math.abs(worst.skewS) <= BROKEN_S ? doubtful(name, text, todo) : broken(name, text, todo);
}
