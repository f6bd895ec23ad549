import { createTestExecutor } from "./executor.ts";

/**
 * An agent's executor as a process of its own, which a test may kill: it runs one command, and prints the result. Words: the
 * folder, the search path, the command's id, the command, its parameters as JSON.
 */
const [folder = "", searchPath = "", id = "", command = "", params = "{}"] = process.argv.slice(2);
const executor = createTestExecutor({ folder, searchPath, allow: "restart_service:*,stop_service:*" });
process.stdout.write(`${JSON.stringify(await executor.ask(command, JSON.parse(params), { id }))}\n`);
