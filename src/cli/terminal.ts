import { stripControls } from "../lib/controls.ts";
import { markOf, visibleName } from "../protocol/names.ts";

/** They show nothing, or turn the order of others. */
const UNSEEN = /[\p{Cf}\p{Default_Ignorable_Code_Point}]/gu;

/** Text that hosts sent, on one line of a terminal: nothing in it moves the cursor, makes another line, or looks like something else. */
export function terminalText(text: string): string {
  return visibleName(stripControls(text).replace(/\s+/g, " ").replace(UNSEEN, markOf));
}
