import { MissingProgramError, type RunProcess } from "../run-process.ts";

const LIMIT_MS = 10_000;
/** The first with rules in JavaScript; Debian 11 and Ubuntu 22.04 have an older one. */
const VERSION_MIN = 0.106;

/** What a person should know of the polkit on this host, which must let the agent's user change units. */
export async function polkitNotes(run: RunProcess): Promise<string[]> {
  const version = await polkitVersion(run);
  if (version !== undefined && version >= VERSION_MIN) return [];
  const found = version === undefined ? "polkit is not on this host" : `polkit on this host is of version ${version}`;
  return [
    `${found}: until it is ${VERSION_MIN} or later, systemd refuses the agent what OPSPILOT_ALLOW lets it change`,
  ];
}

/** 0.105, or 122 as newer ones count; undefined when there is none. */
export async function polkitVersion(run: RunProcess): Promise<number | undefined> {
  try {
    const { stdout } = await run(["pkaction", "--version"], { limitMs: LIMIT_MS });
    const version = Number(/version (\d+(?:\.\d+)?)/.exec(stdout)?.[1]);
    return Number.isNaN(version) ? undefined : version;
  } catch (error) {
    if (error instanceof MissingProgramError) return undefined;
    throw error;
  }
}
