import { spoolFrame, spoolIn } from "./spool.ts";

/** Adds frames to the spool in the directory given, and says of each that it is there, until it is killed. */
const [, , dir = "", prefix = ""] = process.argv;
const spool = spoolIn(dir);
for (let n = 0; ; n++) {
  await spool.add(spoolFrame(`${prefix}-${n}`));
  process.stdout.write(`${prefix}-${n}\n`);
}
