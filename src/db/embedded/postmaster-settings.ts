/** The only port there is: a part of the socket's name. */
export const POSTGRES_PORT = 5432;

/** The longest socket directory that PostgreSQL bears, with the socket's name and some room, in bytes. */
export const SOCKET_DIRECTORY_BYTES_MAX = 90;

/**
 * A small server that keeps its word: what was committed is on the disk. They are given with each start, so a new release
 * of ours can change them; what is not named here can be set in `data/postgresql.conf`.
 */
const SETTINGS = {
  listen_addresses: "",
  port: String(POSTGRES_PORT),
  unix_socket_permissions: "0700",
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  shared_buffers: "64MB",
  max_connections: "60",
  max_locks_per_transaction: "256",
  max_wal_size: "1GB",
  wal_compression: "on",
  huge_pages: "off",
  jit: "off",
  // Each look costs a process for each database, and there are three.
  autovacuum_naptime: "60s",
  // Recovery after a crash is bounded by max_wal_size all the same.
  checkpoint_timeout: "15min",
  // Whoever commits writes the log: its writer is for those who do not wait for it.
  wal_writer_delay: "10s",
  // Three processes that read ahead, and one that looks for subscriptions, would have nothing to do.
  io_method: "sync",
  max_logical_replication_workers: "0",
  logging_collector: "off",
  log_destination: "stderr",
  log_timezone: "UTC",
  timezone: "UTC",
} as const;

/** The command line of the postmaster. */
export function postmasterArguments(data: string, socketDirectory: string): string[] {
  const settings = { ...SETTINGS, unix_socket_directories: socketDirectory };
  return ["-D", data, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
}
