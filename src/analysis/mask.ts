/**
 * What stands in a line and says nothing of what failed, blanked so that every character keeps its place: the words that systemd
 * puts to a program's exit number by a convention that the program knows nothing of, and the descriptions of units.
 */
export const maskLine = (line: string): string => {
  if (!line.includes("systemd") && !line.includes("status=")) return line;
  return line.replace(NUMBER_WORD, blankAfter).replace(DESCRIPTION, blankAfter);
};

/**
 * LSB's and BSD's words (systemd's src/shared/exit-status.c). 78/CONFIG stays: who ends with it follows BSD's sysexits, since
 * nothing else uses it.
 */
const NUMBER_WORD =
  /(\bstatus=\d{1,2}\/)((?:INVALIDARGUMENT|NOTIMPLEMENTED|NOPERMISSION|NOTINSTALLED|NOTCONFIGURED|NOTRUNNING|USAGE|DATAERR|NOINPUT|NOUSER|NOHOST|UNAVAILABLE|SOFTWARE|OSERR|OSFILE|CANTCREAT|IOERR|TEMPFAIL|PROTOCOL|NOPERM|FAILURE|SUCCESS)\b)/g;

const DESCRIPTION =
  /(systemd(?:\[\d{1,9}\])?: (?:Starting|Started|Stopping|Stopped|Finished|Reached target|Stopped target|Failed to start|Dependency failed for|Condition check resulted in|Closed|Listening on|Created slice|Removed slice|Mounting|Mounted|Unmounting|Unmounted|Activating|Reloading|Reloaded|Queued start job for) )([^:]{1,400})/g;

const blankAfter = (_: string, kept: string, blanked: string): string => kept + " ".repeat(blanked.length);
