/** In memory: a full disk does not fill them. */
const IN_MEMORY: readonly string[] = ["/dev", "/proc", "/run", "/sys"];
/** What lies there is run, and not written: it says nothing of where a program writes. */
const PROGRAMS: readonly string[] = ["/bin", "/lib", "/lib64", "/sbin", "/usr"];
const PATH = /(?<![\w.:/-])\/[\w.@+,~%-]+(?:\/[\w.@+,~%-]+)*/g;

/**
 * The file systems on which the files lie that a line of a host's log names by absolute paths: those of `mounts` (paths; the root
 * is one in any case), or a directory that is in memory. Empty where the line names no file that may have been written.
 */
export function fileSystemsIn(line: string, mounts: readonly string[]): Set<string> {
  const paths = (line.match(PATH) ?? []).filter((path) => !PROGRAMS.some((one) => isWithin(path, one)));
  return new Set(paths.map((path) => placeOf(path, [...mounts, ...IN_MEMORY])));
}

function placeOf(path: string, mounts: readonly string[]): string {
  return mounts
    .filter((one) => isWithin(path, one))
    .reduce((best, one) => (one.length > best.length ? one : best), "/");
}

function isWithin(path: string, directory: string): boolean {
  return directory === "/" || path === directory || path.startsWith(`${directory}/`);
}
