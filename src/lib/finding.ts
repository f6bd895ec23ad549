/** What `opspilot doctor` found in one place. */
export interface Finding {
  /** What was looked at, in a few words: "database". */
  readonly name: string;
  /** `warn`: it works, and something should be known; `fail`: it does not work. */
  readonly status: "ok" | "warn" | "fail";
  /** What is so, without a secret. */
  readonly text: string;
  /** What to do about it; null where nothing is to be done. */
  readonly todo: string | null;
}

/** All is well there. */
export function fine(name: string, text: string): Finding {
  return { name, status: "ok", text, todo: null };
}

/** It works, and something should be known or done. */
export function doubtful(name: string, text: string, todo: string): Finding {
  return { name, status: "warn", text, todo };
}

/** It does not work. */
export function broken(name: string, text: string, todo: string): Finding {
  return { name, status: "fail", text, todo };
}
