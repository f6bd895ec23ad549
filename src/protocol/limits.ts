/** Largest WebSocket frame: what an agent of ours never exceeds (it cuts at 512 KiB), with room for others. */
export const FRAME_BYTES_MAX = 1024 * 1024;
/** Largest payload after decompression, by type: only alerts carry logs. */
export const PAYLOAD_BYTES_MAX = { heartbeat: 1024 * 1024, result: 1024 * 1024, alert: 8 * 1024 * 1024 } as const;
/** Deepest nesting of arrays and objects: deeper is no payload of ours, and JSON.parse and jsonb recurse. */
export const JSON_DEPTH_MAX = 32;
/** Most values (and keys) in one JSON text: a bound on the memory that a small text can turn into. */
export const JSON_VALUES_MAX = 10_000;
/**
 * Longer texts are scanned for the two limits above before JSON.parse. A shorter one cannot hurt, so it is parsed first, and
 * scanned only when it has any nesting; without nesting it is too short to hold more than 8,192 values.
 */
export const JSON_UNSCANNED_CHARS_MAX = 16 * 1024;
/** DEFLATE's largest expansion (RFC 1951: 258 bytes of output for at least 2 bits), as measured for gzip. */
export const GZIP_RATIO_MAX = 1032;
/** Longer logs keep their head and their tail, with a mark between. */
export const LOGS_BYTES_MAX = 256 * 1024;
/** An alert's message: one screen. Of a longer one the head and the tail are kept, as of logs. */
export const MESSAGE_BYTES_MAX = 8 * 1024;
/** An agent's secret: long enough not to be guessed, short enough to be compared. */
export const TOKEN_CHARS = { min: 8, max: 256 } as const;
/** A frame's id: room for a UUID and a prefix. */
export const MESSAGE_ID_CHARS_MAX = 64;
/** How long before it was sent an alert may have happened: a spool's longest outage. */
export const ALERT_AGE_SECONDS_MAX = 7 * 24 * 3600;
/** Unknown keys of a heartbeat that are kept in `agents.meta`, as JSON. */
export const META_BYTES_MAX = 16 * 1024;
/** What of a command's output is kept. */
export const OUTPUT_BYTES_MAX = 64 * 1024;
