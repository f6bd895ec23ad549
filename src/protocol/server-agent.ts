/**
 * Whom an incident of the server itself belongs to, where it is about no host's agent: each incident has one. Its row is deleted from
 * the beginning, so that it is in no list and no count, is never missed, and nobody can connect as it.
 */
export const SERVER_AGENT_ID = "00000000-0000-4000-8000-6f707370696c";
