/** Lines of a log as text of so many characters; each variant has its own. */
export function logsOf(variant: number, chars: number): string {
  let logs = "";
  for (let line = 0; logs.length < chars; line++) {
    const noise = Bun.hash(`${variant}/${line}`).toString(36);
    logs += `2024-01-25T00:00:${line % 60}Z host nginx[${variant}]: upstream ${noise} timed out (110: Connection timed out)\n`;
  }
  return logs.slice(0, chars);
}
