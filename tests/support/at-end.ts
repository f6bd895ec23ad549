const tasks: (() => Promise<void>)[] = [];

/** To be done after the last test of the last file. */
export function atEnd(task: () => Promise<void>): void {
  tasks.push(task);
}

/** Does it all, the last first. */
export async function runAtEnd(): Promise<void> {
  for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) await task();
}
