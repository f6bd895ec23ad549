/** Bounds of the gateway: what a server runs with. Tests set smaller ones. */
export const DEFAULT_LIMITS = {
  /** Sockets held at once: beyond it new ones are turned away. */
  connectionsMax: 25_000,
  /** Sockets that have not proved a token: strangers may not crowd out agents. Beyond it those go that had their chance. */
  unprovedMax: 1_000,
  /** So long a socket may take for that, however many there are: after a restart all agents come at once. */
  unprovedGraceMs: 10_000,
  /** Long enough for a person who types the first frame by hand. */
  unprovedMs: 60_000,
  /** Frames that may be wrong before a token is proved. */
  badFramesMax: 5,
  /** What a socket may send while its token is being looked up; it is not read meanwhile, so this is one read's worth. */
  backlogBytesMax: 2 * 1024 * 1024,
  /** Answers that the peer does not take up: over this its frames are not read, and so make no further answers. */
  sendBufferBytesMax: 256 * 1024,
  /** The same of all sockets together: over it such frames are refused for now. */
  backlogsBytesMax: 64 * 1024 * 1024,
  /** Answers of all sockets together that nobody takes up: over it those with the most are cut off. */
  sendBuffersBytesMax: 64 * 1024 * 1024,
  /** A look-up that takes longer counts as "cannot be checked". */
  authenticationMs: 5_000,
  /** For how long a token is believed; also where it cannot be checked again, since then nobody can revoke it either. */
  trustMs: 30_000,
};
export type GatewayLimits = typeof DEFAULT_LIMITS;

/** Longest wait of a new agent for its turn to enrol itself, and for the database then. */
export const ENROLMENT_MS = 25_000;

/** How long a refusal for lack of the database or of allowance answers for further frames of the socket too. */
export const REFUSAL_MS = 1_000;

/** What the agent is told to wait before it tries again, seconds. */
export const RETRY_AFTER_S = { overloaded: 5, rate_limited: 1 } as const;

/** An agent's clock that is further off than this is passed on, seconds. */
export const SKEW_SECONDS = 300;
