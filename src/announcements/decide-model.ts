/** An incident of which it is to be decided whether people are told. */
export interface Undecided {
  id: number;
  agentId: string;
  hostname: string | null;
  type: string;
  source: string;
  fingerprint: string;
  severity: "info" | "warning" | "critical" | null;
  status: string;
  reason: string | null;
  category: string | null;
  parentId: number | null;
  previousId: number | null;
  /** When its first alert happened. */
  occurredAt: Date;
}

/** An incident that others may follow from. */
export interface Cause {
  id: number;
  agentId: string;
  /** `silent`: the agent was not heard of; `full`: a disk of its host is full. */
  kind: "silent" | "full";
  /** Of a silence: the last sign of life. */
  since: Date;
  /** Of a silence: when the agent was back; null while it is silent, and of a full disk, which is open. */
  until: Date | null;
}
