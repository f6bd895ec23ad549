import type { LogLevel } from "./lib/log.ts";

/** All settings of the server, checked and frozen. Durations are milliseconds, sizes bytes. */
export interface Config {
  readonly listen: { readonly host: string; readonly port: number };
  /** File contents, PEM. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Null: the built-in PostgreSQL. `directUrl` is for sessions (LISTEN, locks) where `url` is a transaction pooler. */
  readonly database: { readonly url: string; readonly directUrl: string | null } | null;
  readonly dataDir: string;
  readonly access: {
    readonly mode: "open" | "token";
    /** ACCESS was set by the operator: then PUBLIC_URL's host may be named, and proxies may stand in front. */
    readonly explicit: boolean;
    readonly adminToken: string | null;
  };
  readonly enrollment: "open" | "closed";
  /** Addresses or CIDR ranges whose X-Forwarded-For counts. */
  readonly trustedProxies: readonly string[];
  readonly publicUrl: string | null;
  readonly heartbeatTimeoutMs: number;
  readonly incidentGroupWindowMs: number;
  readonly ingestBufferBytes: number;
  readonly retentionMs: number;
  readonly logLevel: LogLevel;
}
