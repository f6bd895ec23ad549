import { ExitCode, StartupError } from "../lib/errors.ts";

/** One thing that is wrong with the settings. The message holds no secret. */
export interface Mistake {
  readonly setting: string;
  readonly message: string;
}

/** The settings cannot be used. Lists every mistake, so that nobody has to start the server once for each. */
export class ConfigError extends StartupError {
  readonly mistakes: readonly Mistake[];

  constructor(mistakes: readonly Mistake[]) {
    const lines = mistakes.map(({ setting, message }) => `  ${setting}: ${message}`);
    super(`the settings cannot be used:\n${lines.join("\n")}`, ExitCode.config);
    this.mistakes = mistakes;
  }
}

/** Collects mistakes while settings are read. */
export class Mistakes {
  readonly found: Mistake[] = [];

  add(setting: string, message: string): undefined {
    this.found.push({ setting, message });
  }

  /** Whether the setting was given, but wrongly: then it is not missing. */
  concern(name: string): boolean {
    return this.found.some(({ setting }) => setting === name || setting === `${name}_FILE`);
  }

  throwIfAny(): void {
    if (this.found.length > 0) throw new ConfigError(this.found);
  }
}
