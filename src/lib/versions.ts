/** As versions of ours are; how other programs count theirs is not known. */
const VERSION_SHAPE = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;

/** True for what may be a version of ours. */
export function isVersion(text: string): boolean {
  return VERSION_SHAPE.test(text);
}

/** Whether one version comes before the other; false for what is no version of ours. */
export function isOlder(version: string, than: string): boolean {
  return isVersion(version) && isVersion(than) && Bun.semver.order(version, than) < 0;
}
