import { connect } from "node:net";
import type { TcpCheck } from "../../config/check-model.ts";
import type { Attempt, Finding } from "./model.ts";
import { faultText } from "./words.ts";

/** What is read of what the other side says; its first line is wanted. */
const BANNER_BYTES_MAX = 64 * 1024;
const SHOWN_CHARS_MAX = 200;

/** Connects, and hangs up once it has heard what it wants to hear, if anything. */
export function probeTcp({ host, port, text }: TcpCheck, { signal, waitsFor }: Attempt): Promise<Finding> {
  waitsFor("no connection");
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    let heard = "";
    const finish = (finding: Finding) => {
      socket.destroy();
      resolve(finding);
    };
    const lacks = (why: string) =>
      finish({ isWell: false, text: `${why} ${JSON.stringify(text)}`, details: shown(heard) });
    socket.once("connect", () => {
      if (text === null) return finish({ isWell: true, text: "connected" });
      waitsFor(`connected, but nothing with ${JSON.stringify(text)} came`);
    });
    socket.on("data", (chunk) => {
      heard += chunk.toString("latin1");
      if (text !== null && heard.includes(text)) finish({ isWell: true, text: "connected, and greeted" });
      else if (heard.length > BANNER_BYTES_MAX) lacks("the other side says much, but not");
    });
    socket.once("end", () => lacks("the connection was closed without"));
    socket.once("error", (error) => finish({ isWell: false, text: faultText(error) }));
  });
}

function shown(heard: string): string {
  return heard === "" ? "" : `it said: ${heard.slice(0, SHOWN_CHARS_MAX)}`;
}
