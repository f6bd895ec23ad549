import { rulesOf, words } from "./rule.ts";

const FIX =
  "Find out what {source} waited for ({logs}): is {host|the other side} slow, overloaded or cut off? Cure that; raise the time limit only when the work really needs longer. Then {restart}.";
const UNIT_FIX =
  "See in {logs} where {source} stood when its time ran out, and what it waits for at the start. Cure that, or raise TimeoutStartSec or TimeoutStopSec with {edit}, then {restart}.";

/** Something did not answer or finish in time, and nothing deeper is said. */
export const TIMEOUT = rulesOf("timeout", FIX, [
  {
    id: "systemd-start-timeout",
    beats: ["connect-timeout", "deadline-exceeded", "timed-out", "timed-out-in-words"],
    any: words(`
      start operation timed out | start-pre operation timed out | mounting timed out | stop-sigterm' timed out
      job timed out | timed out waiting for device | operation timed out. terminating | unmounting timed out
      start-post operation timed out | reload operation timed out | stop-sigterm timed out | stopping timed out
      state 'stop- | timed out. killing | state 'final-
    `),
    when: /timed out/i,
    tier: "symptom",
    cause: "{source} did not start, stop or mount within its time limit, and systemd ended it.",
    fix: UNIT_FIX,
  },
  {
    id: "systemd-result-timeout",
    beats: ["timed-out", "timed-out-in-words"],
    any: words(`failed with result 'timeout' | result 'timeout' | result: timeout | a timeout was exceeded`),
    tier: "symptom",
    cause: "{source} did not finish within its time limit, and systemd ended it.",
    fix: UNIT_FIX,
  },
  {
    id: "watchdog",
    any: words(`
      watchdog timeout | failed with result 'watchdog' | watchdog: bug: soft lockup | soft lockup - cpu
      worker timeout | watchdog caught | rcu_sched self-detected stall | hung_task_timeout | blocked for more than
      detected stalls on cpus | worker failed to check in | terminating timed out worker
    `),
    not: /i\/o error/i,
    tier: "symptom",
    cause: "{source} did not give a sign of life in time and was ended, or hangs.",
  },
  {
    id: "gateway-timeout",
    any: words(`
      upstream timed out | 504 gateway | gateway timeout | gateway time-out | ah01075 | ah01102
      timeout specified has expired | (70007)
    `),
    tier: "symptom",
    cause: "The service behind {source}, {host|its upstream}, does not answer in time.",
  },
  {
    id: "connect-timeout",
    any: words(`
      connection timed out | etimedout | connect timeout | connection timeout | connecttimeout
      connecttimeoutexception | i/o timeout | connection attempt timed out | esockettimedout | timeout connecting
      timeout while connecting | (110: connection timed out) | errno 110 | os error 110 | mount error(110) | (110)
      failed to connect: timeout | sockettimeoutexception | read timed out | readtimeout | connect timed out
      request timed out | timeout: no response | socket timeout | operation timed out | timeout expired
      timeout awaiting | while waiting for connection | client.timeout exceeded | und_err_connect_timeout
      tls handshake timeout | net/http: request canceled | connection time-out | write timeout | read timeout
    `),
    not: /keepalive|client timed out|idle/i,
    tier: "symptom",
    cause: "{host|Something that {source} needs} did not answer in time.",
  },
  {
    id: "deadline-exceeded",
    any: words(`
      deadline exceeded | deadlineexceeded | context deadline | deadline_exceeded | timeouterror | timeoutexception
      timeout exceeded | timed out after | timed out waiting | timeout waiting | timeout of | query timed out
      canceling statement due to statement timeout | max_execution_time | maximum execution time | command timed out
      navigation timeout | err_timeout | timed-out | job exceeded | socket_timeout | time limit exceeded
      request timeout | response timeout | session expired | timeout was reached | timeout reached | taking too long
      took too long | exceeded the timeout | poll timeout | max.poll.interval | not ready in time
      did not become ready | no response within | no response from | failed to become ready | stopped hearing
      timed out! | timed out. | timed out: | timed out, | timeout! | startup timeout | within the allotted time
      healthcheck timeout | expired before | exceeded timeout | reached timeout | context canceled while waiting
      execution expired
      tls key negotiation failed to occur within | timeout occurred after waiting | timed out in | failed to start within
    `),
    not: /lock wait|waiting for (?:the )?lock|acquir\w{1,4} .{0,30}lock|lock timeout|took too long .{0,80}to execute.{0,40}expected-duration|session expired, user|read-only range request|connection pool|obtain(?:ing)? a connection|from the pool|pool timeout|queuepool|idle/i,
    tier: "symptom",
    cause: "An operation of {source} did not finish in time.",
  },
  {
    id: "slow-store",
    any: words(`
      apply request took too long | request took too long | slow fdatasync | slow fsync
      failed to send out heartbeat on time | waiting for readindex response took too long
      leader failed to send out heartbeat
    `),
    tier: "wrapper",
    cause: "etcd is too slow to keep its own times: the disk or the host is overloaded.",
    fix: "Look at the disk (`iostat -x`) and the load of the host of {source}; etcd wants a fast disk of its own.",
  },
  {
    id: "timed-out",
    any: words(`timed out | time-out | timeout`),
    when: /timed out|time-?out\b.{0,60}(?:expired|exceeded|reached|error|occurred|fail)|(?:error|failed|failure|fatal).{0,120}time-?out|timeout$|\[timeout\]/i,
    not: /\w?timeout[=:]\s?\d|keepalive|idle|\binfo\b(?!['"]:)|\bdebug\b|lock wait|waiting for lock|session timed out|timeout set|setting|pool/i,
    tier: "symptom",
    cause: "Something that {source} waited for did not come in time.",
  },
  {
    id: "probe-timeout",
    any: words(`probe failed`),
    when: /(?:readiness|liveness|startup) probe failed.{0,200}(?:timeout|deadline)/i,
    tier: "symptom",
    cause: "{source} does not answer its health probe in time.",
  },
]);
