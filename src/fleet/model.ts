import type { CollectorReport, HeartbeatPayload } from "../protocol/frames.ts";

/** What the API shows of an agent. */
export interface Agent {
  id: string;
  hostname: string | null;
  status: "online" | "offline";
  last_seen_at: Date | null;
  meta: Record<string, unknown> | null;
  created_at: Date;
  connected_at: Date | null;
  /** Names of other hosts that use the same token by turns. */
  shared_with: string[];
  /** What its collectors said of themselves last. */
  collectors: CollectorView[];
}

/** What one collector of an agent sees. */
export interface CollectorView {
  name: string;
  state: CollectorReport["state"];
  /** ISO 8601 in UTC. */
  since: string;
  why: string | null;
  gave_up: string[];
  /** An alert of the agent's tells people already that it cannot. */
  told: boolean;
}

/** Why a token was not accepted. `overloaded`: it could not be checked (the database is away), so it may be right. */
export type AuthenticationFailure = {
  ok: false;
  reason: "unauthorized" | "overloaded" | "rate_limited";
  message: string;
};
export type Authentication = { ok: true; agentId: string } | AuthenticationFailure;

/** An unknown token that may enrol, once those that came before have: what it is answered then. */
export interface EnrolmentTurn {
  readonly turn: Promise<Authentication>;
}

/** Tokens of agents: who is known, who may enrol. */
export interface TokenService {
  /** The agent of a token that was checked less than 30 s ago; undefined means: ask `authenticate`. */
  cached(token: string): string | undefined;
  /** Looks the token up, and enrols an unknown one: by an enrolment token, or, where enrolment is open, at once or in its turn. Never rejects. */
  authenticate(token: string, enrolment?: string): Promise<Authentication | EnrolmentTurn>;
}

/** Which socket holds an agent, and when it was last heard of. */
export interface PresenceService {
  /** Commits that this node's connection holds the agent; other nodes then close theirs. Rejects when the database is away. */
  claim(agentId: string, connectionId: string): Promise<void>;
  /**
   * Commits `offline`, but only where this connection still holds the agent. Retried until it is written. With
   * `isGoodbye` the agent itself closed the connection in good order.
   */
  release(agentId: string, connectionId: string, isGoodbye?: boolean): void;
  /** Notes a sign of life; coalesced, written once a second. A heartbeat's payload sets hostname and meta. */
  seen(agentId: string, heartbeat?: HeartbeatPayload, skewSeconds?: number): void;
  /**
   * Writes what these agents' last heartbeats said that incidents show (the host's name, what may be done there), if it is not
   * yet written: before an alert is stored that came after them. Never rejects.
   */
  introduce(agentIds: readonly string[]): Promise<void>;
}

/** Which agents to list, newest first. */
export interface AgentPage {
  limit: number;
  /** The last one's id of the page before. */
  cursor?: string | undefined;
  status?: Agent["status"] | undefined;
  /** Of these alone. */
  ids?: readonly string[] | undefined;
}

/** Agents as people see them: the API's and the command line's side. */
export interface AgentService {
  list(page: AgentPage): Promise<{ agents: Agent[]; nextCursor?: string }>;
  get(id: string): Promise<Agent | undefined>;
  /** A new agent and its token, which is shown this once. */
  create(input: { hostname?: string }, actor: string): Promise<{ agent: Agent; token: string }>;
  /** Revokes the token and closes the agent's sockets on every node; false when there is no such agent. */
  remove(id: string, actor: string): Promise<boolean>;
  /**
   * A new token in place of the old one, which is revoked at once, or stays good for a grace time beside the new one; undefined when
   * there is no such agent.
   */
  rotateToken(id: string, actor: string, graceMs?: number): Promise<{ agent: Agent; token: string } | undefined>;
}

/** What hosts enrol with, as people see it. */
export interface Enrolment {
  id: string;
  /** How often in all. */
  uses: number;
  uses_left: number;
  until: Date;
  created_at: Date;
  created_by: string;
}

/** Tokens by which hosts make themselves known: a limited number of times, until an end. */
export interface EnrolmentService {
  /** Those that are good, newest first. */
  list(page: { limit: number; cursor?: string | undefined }): Promise<{ enrolments: Enrolment[]; nextCursor?: string }>;
  /** A new one and its token, which is shown this once. */
  create(input: { uses: number; until: Date }, actor: string): Promise<{ enrolment: Enrolment; token: string }>;
  /** False when there is no good one. Hosts that came by it stay. */
  revoke(id: string, actor: string): Promise<boolean>;
}

/** Declared here, implemented by the gateway: this node's own sockets. */
export interface AgentSockets {
  /** The connection that this node holds for the agent. */
  connectionOf(agentId: string): string | undefined;
  /** Closes the agent's socket here, if there is one (and, when given, only if it is not `exceptConnectionId`). */
  closeAgent(agentId: string, why: "deleted" | "revoked" | "superseded", exceptConnectionId?: string): void;
  /** All agents that hold a socket here. */
  agentIds(): string[];
}
