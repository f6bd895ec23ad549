/** A browser's session: its secret is the cookie's value, known to that browser alone. */
export interface NewSession {
  readonly secret: string;
  readonly lifetimeMs: number;
}

/** Who is signed in by a browser, on whichever node. */
export interface SessionService {
  /** Begins one. Who asks has proved to know ADMIN_TOKEN. */
  create(): Promise<NewSession>;
  /** Until when the session lasts; undefined when there is none: over, ended, or begun under another ADMIN_TOKEN. */
  find(secret: string): Promise<Date | undefined>;
  /** Ends it, if there is one. */
  end(secret: string): Promise<void>;
}
