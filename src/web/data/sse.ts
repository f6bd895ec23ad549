/** One event is far below; a stream that never ends a line is none of ours. */
const LINE_CHARS_MAX = 4 * 1024 * 1024;

/** What a stream of server-sent events brought. */
export interface SentEvent {
  event: string;
  data: string;
  /** Of this event, or of the last before it that had one. */
  id: string;
}

/** Reads server-sent events out of pieces of text, as they come; comments are nothing. */
export function createEventReader(onEvent: (event: SentEvent) => void): (text: string) => void {
  let rest = "";
  let event = "";
  let data: string[] = [];
  let id = "";

  function line(text: string): void {
    if (text === "") {
      if (data.length > 0) onEvent({ event: event || "message", data: data.join("\n"), id });
      event = "";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id") id = value;
  }

  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    if (rest.length > LINE_CHARS_MAX) throw new RangeError("a line of the stream has no end");
    for (const one of lines) line(one);
  };
}
