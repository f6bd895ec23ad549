import { constants } from "node:os";

/** SIGINT, SIGQUIT, SIGKILL, SIGTERM, SIGRTMIN+3. */
const ENDING_SIGNALS = [2, 3, 9, 15, 37];
const SIGRTMIN = 34;

/** Whether who sends this signal, given by its number, wants an end; others than the usual ones do where the container's owner says so. */
export function asksForEnd(signal: string, stopSignal: string | undefined): boolean {
  const number = Number(signal);
  return ENDING_SIGNALS.includes(number) || signalNumber(stopSignal) === number;
}

/** A container's owner may name it or number it. */
function signalNumber(signal: string | undefined): number | undefined {
  if (!signal) return undefined;
  if (/^\d+$/.test(signal)) return Number(signal);
  const [, plus] = /^(?:SIG)?RTMIN\+(\d+)$/.exec(signal) ?? [];
  if (plus !== undefined) return SIGRTMIN + Number(plus);
  const signals: Readonly<Record<string, number | undefined>> = constants.signals;
  return signals[signal.startsWith("SIG") ? signal : `SIG${signal}`];
}
