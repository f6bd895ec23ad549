import { endOf, readTlsAgain, type TlsPair, type TlsSettings } from "../config/tls.ts";
import type { Listening } from "../http/listen.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";

const LOOK_MS = 30_000;
const DAY_MS = 86_400_000;
/** Whoever renews by itself does so earlier. */
const SOON_MS = 14 * DAY_MS;

interface CertificateDeps {
  readonly tls: TlsSettings;
  readonly listening: Pick<Listening, "renew">;
  readonly loops: Loops;
  readonly clock: Clock;
  readonly log: Log;
}

/** What is shown to whoever connects, and the looks at its files. */
export interface Certificate extends Loop {
  /** When the one in use ends, Unix milliseconds. */
  endMs(): number;
}

/**
 * Looks at the files of certificate and key, and shows new ones to whoever connects from then on. What cannot be used (a file that is
 * half written, a key of another certificate) is told once, and the pair that is in use stays.
 */
export function startCertificate({ tls, listening, loops, clock, log }: CertificateDeps): Certificate {
  let used: TlsPair = tls;
  let complaint = "";
  let warnedMs = Number.NEGATIVE_INFINITY;

  function look(): void {
    try {
      const found = readTlsAgain(tls);
      complaint = "";
      if (found.cert === used.cert && found.key === used.key) return;
      listening.renew(found);
      used = found;
      warnedMs = Number.NEGATIVE_INFINITY;
      log.info({ ends: dateOf(endOf(used)) }, "the certificate is renewed");
    } catch (error) {
      const reason = errorMessage(error);
      if (reason !== complaint)
        log.error({ reason }, "the new certificate cannot be used: the one before stays in use");
      complaint = reason;
    }
  }

  function warn(): void {
    const leftMs = endOf(used) - clock.now();
    if (leftMs > SOON_MS || clock.monotonicMs() - warnedMs < DAY_MS) return;
    warnedMs = clock.monotonicMs();
    const ends = dateOf(endOf(used));
    if (leftMs < 0) log.error({ ends }, "the certificate has ended: agents and browsers refuse it");
    else log.warn({ ends }, "the certificate ends soon");
  }

  log.info({ ends: dateOf(endOf(used)) }, "TLS is on");
  const loop = loops.start({
    name: "certificate",
    turn: async () => {
      look();
      warn();
      return undefined;
    },
    everyMs: LOOK_MS,
    failed: "the certificate could not be looked at",
  });
  return { ...loop, endMs: () => endOf(used) };
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString();
}
