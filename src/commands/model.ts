import type { ServerFrame } from "../protocol/frames.ts";

/** pending → sent (committed before the socket write; never written twice) → done | failed | rejected | expired. */
export const COMMAND_STATUSES = ["pending", "sent", "done", "failed", "rejected", "expired"] as const;
export type CommandStatus = (typeof COMMAND_STATUSES)[number];

/** A command as the API shows it. */
export interface Command {
  id: string;
  agent_id: string;
  incident_id: number | null;
  command: string;
  params: Record<string, unknown>;
  status: CommandStatus;
  actor: string;
  ttl_s: number;
  created_at: Date;
  sent_at: Date | null;
  finished_at: Date | null;
  expires_at: Date;
  exit_code: number | null;
  output: string | null;
  error: string | null;
  duration_ms: number | null;
  /** A result came after the command had expired; it is stored, the status stays. */
  late: boolean;
}

/** A command that somebody asks for. */
export interface ExecRequest {
  /** Who may ask twice, after a crash, chooses the id: there is one command of it, and the second asks how it fares. */
  id?: string;
  agentId: string;
  command: string;
  params: Record<string, unknown>;
  actor: string;
  /** How long to wait for the result, seconds; 0 answers as soon as the command is sent. */
  waitS: number;
  incidentId?: number;
}

/** Why nothing was sent. `field` names the part of the request that is wrong. */
export type ExecFailure = {
  ok: false;
  reason: "agent_not_found" | "agent_offline" | "unknown_command" | "invalid_params" | "command_open" | "token_shared";
  message: string;
  field?: string;
};
export type ExecOutcome = { ok: true; command: Command } | ExecFailure;

/** Commands as the API sees them. */
export interface CommandService {
  /** Validates, stores, delivers, and waits: `command.status` says how far it came in time. */
  exec(request: ExecRequest, signal?: AbortSignal): Promise<ExecOutcome>;
  get(id: string): Promise<Command | undefined>;
  /** Newest first; the cursor is the id of the last command of the page before. */
  list(page: {
    agentId: string;
    limit: number;
    cursor?: string;
  }): Promise<{ commands: Command[]; nextCursor?: string }>;
}

/** Declared here, implemented by the gateway: this node's own sockets. */
export interface CommandDelivery {
  /** True when this node holds a live socket of the agent. */
  holds(agentId: string): boolean;
  /** Writes the frame to the agent's socket; false when there is none any more. */
  deliver(agentId: string, frame: Extract<ServerFrame, { type: "command" }>): boolean;
}
