import { shellQuoted } from "../own-address.ts";
import script from "./install.sh" with { type: "text" };

const SERVER_LINE = "server='@SERVER@'";

/** The script, for a server at this address. */
export function installScript(address: string): string {
  return script.replace(SERVER_LINE, () => `server=${shellQuoted(address)}`);
}
