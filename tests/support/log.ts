import { createLog } from "../../src/lib/log.ts";

/** Logs nothing. */
export const quiet = createLog({ level: "silent", readable: false });
