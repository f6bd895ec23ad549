/** Holds the one stream of events for all tabs. */
export {};
