import { join } from "node:path";
import { until } from "./until.ts";

const WSCAT = join(import.meta.dir, "../../node_modules/wscat/bin/wscat");
const CTRL_C = "\x03";
/** Wide enough that no line is wrapped. */
const COLUMNS = 8_000;

/** A person at a terminal with `wscat -c`: a client that is not ours, in a process of its own. */
export interface Wscat {
  /** Types the line and presses Enter. */
  type(line: string): void;
  /** The frames that it has shown so far. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into frames without describing them first
  frames(): any[];
  /** Presses Ctrl-C and waits for its end; safe to call twice. */
  quit(): Promise<void>;
}

/** Runs wscat on a terminal of its own, and waits until it says that it is connected. */
export async function connectWscat(url: string): Promise<Wscat> {
  let output = "";
  const child = Bun.spawn([Bun.which("node") ?? process.execPath, WSCAT, "-c", url], {
    terminal: {
      cols: COLUMNS,
      rows: 50,
      data: (_, chunk) => {
        output += Buffer.from(chunk).toString("utf8");
      },
    },
  });
  const screen = () => Bun.stripANSI(output).split(/[\r\n]+/);
  const isConnected = () => {
    if (child.exitCode !== null) throw new Error(`wscat ended:\n${screen().join("\n")}`);
    return screen().some((line) => line.includes("Connected (press CTRL+C to quit)"));
  };
  await until(isConnected, { ms: 10_000, what: `wscat is connected to ${url}` });
  return {
    type: (line) => void child.terminal?.write(`${line}\r`),
    frames: () => screen().flatMap((line) => (line.startsWith("< ") ? [JSON.parse(line.slice(2))] : [])),
    async quit() {
      if (child.exitCode !== null) return;
      child.terminal?.write(CTRL_C);
      await until(() => child.exitCode !== null, { what: "wscat ends at Ctrl-C" });
      child.terminal?.close();
    },
  };
}
