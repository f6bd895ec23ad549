/** Between a message and its logs in `raw_error`. */
const LOGS_MARK = "\n\nLogs:\n";

/** An alert's text as an incident keeps it. */
export interface RawError {
  readonly rawError: string;
  /** Of the message, as PostgreSQL counts them. */
  readonly messageChars: number;
}

/** A message and its logs, if any, in one text. */
export function joinRawError(message: string, logs: string | null | undefined): RawError {
  return { rawError: logs ? message + LOGS_MARK + logs : message, messageChars: codePoints(message) };
}

/** The message and its logs again; none are an empty text. */
export function splitRawError({ rawError, messageChars }: RawError): { message: string; logs: string } {
  let at = 0;
  for (let left = messageChars; left > 0; left--) at += (rawError.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  return { message: rawError.slice(0, at), logs: rawError.slice(at + LOGS_MARK.length) };
}

function codePoints(text: string): number {
  let count = text.length;
  for (let at = 0; at < text.length; at++) if ((text.charCodeAt(at) & 0xfc00) === 0xdc00) count--;
  return count;
}
