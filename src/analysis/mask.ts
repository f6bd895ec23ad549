/**
 * What stands in a line and says nothing of what failed, blanked so that every character keeps its place: the words that systemd
 * puts to a program's exit number by a convention that the program knows nothing of, and the descriptions of units.
 */
export const maskLine = (line: string): string => {
  const numbered = line.replace(HOST, blankAfter);
  const said = (line.includes("]: ") ? numbered.replace(PID, blankAfter) : numbered).replace(ENDED, blankAfter);
  if (!line.includes("systemd") && !line.includes("status=")) return said;
  return said.replace(NUMBER_WORD, blankAfter).replace(DESCRIPTION, blankAfter);
};

/** A host may be called anything: lock-1, cert-renewal. */
const HOST = /^(\w{3} {1,2}\d{1,2} \d\d:\d\d:\d\d |\d{4}-\d\d-\d\dT[\d:.,+Z-]{8,32} )([\w.-]{1,100} )(?=[\w(])/;

/** A process' number is no error number. What systemd says is known by its name with the number. */
const PID = /^(.{0,160}?(?<!systemd|sqlstate)\[)(\d{1,10})(?=\]: )/i;

/** What ended with a number may be called after anything that it cares for: timeout-cleaner, disk-full-alert. */
const ENDED =
  /(^|[\s"'`./])((?=[A-Za-z]\w{0,40}-)[\w-]{3,80}(?:\.\w{1,8})?)(?=["'`]?:? (?:Main process exited|Failed with result|failed$|(?:exited|ended|failed|returned|terminated|finished|died)(?: on line \d{1,6})?(?: with)?(?: an?)?(?: non-?zero)?(?: exit)?(?: code| status)? ?[:=]? ?\d))/g;

/** The words that somebody watches for: they stand in the alert whether or not they say why. */
const WATCHED = /(: \d{1,9} lines match )(.{1,200}?)(?= in \d{1,9} s\b)/;

/** The message of an alert, likewise. */
export const maskMessage = (message: string): string => maskLine(message).replace(WATCHED, blankAfter);

/**
 * LSB's and BSD's words (systemd's src/shared/exit-status.c). 78/CONFIG stays: who ends with it follows BSD's sysexits, since
 * nothing else uses it.
 */
const NUMBER_WORD =
  /(\bstatus=\d{1,2}\/)((?:INVALIDARGUMENT|NOTIMPLEMENTED|NOPERMISSION|NOTINSTALLED|NOTCONFIGURED|NOTRUNNING|USAGE|DATAERR|NOINPUT|NOUSER|NOHOST|UNAVAILABLE|SOFTWARE|OSERR|OSFILE|CANTCREAT|IOERR|TEMPFAIL|PROTOCOL|NOPERM|FAILURE|SUCCESS)\b)/g;

const DESCRIPTION =
  /(systemd(?:\[\d{1,9}\])?: (?:Starting|Started|Stopping|Stopped|Finished|Reached target|Stopped target|Failed to start|Dependency failed for|Condition check resulted in|Closed|Listening on|Created slice|Removed slice|Mounting|Mounted|Unmounting|Unmounted|Activating|Reloading|Reloaded|Queued start job for) )([^:]{1,400})/g;

const blankAfter = (_: string, kept: string, blanked: string): string => kept + " ".repeat(blanked.length);
