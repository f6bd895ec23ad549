/** A UUID in its usual form, of either case, to stand in a longer pattern. */
export const UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";

const WHOLE = new RegExp(`^${UUID}$`);

/** True for a UUID and nothing else. */
export function isUuid(text: string): boolean {
  return WHOLE.test(text);
}
