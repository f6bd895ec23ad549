import type { LinePattern } from "../lib/linear-pattern.ts";
import type { Severity } from "../protocol/frames.ts";
import { isErrorLine } from "./log-level.ts";

/** What a log line of some program looks like when something went wrong. */
export interface LogPreset {
  /** In words, for a person. */
  readonly about: string;
  readonly severity: Severity;
  /** One pattern is enough. */
  readonly patterns: readonly (string | LinePattern)[];
  /** What matches, but is none. */
  readonly except: readonly string[];
}

/** What may be named instead of a pattern of one's own. */
export const LOG_PRESETS: Readonly<Record<string, LogPreset>> = {
  nginx: {
    about: "answers of 5xx, errors of the upstream, crashes of workers",
    severity: "warning",
    patterns: [
      '^\\S+ .*" 5\\d\\d \\d+',
      "upstream (timed out|prematurely closed|sent (no valid|too big|invalid)|server temporarily disabled)",
      "no live upstreams while connecting",
      "connect\\(\\) (to \\S+ )?failed",
      "worker process \\d+ exited on signal",
      "\\[(crit|alert|emerg)\\] \\d+#",
    ],
    except: ["\\[crit\\] .*SSL_do_handshake\\(\\) failed"],
  },
  apache: {
    about: "answers of 5xx, crashes of children, exhausted workers",
    severity: "warning",
    patterns: [
      '^\\S+ .*" 5\\d\\d (\\d+|-)',
      "\\[(\\w+:)?(crit|alert|emerg)\\]",
      "child pid \\d+ exit signal",
      "server reached MaxRequestWorkers",
      "AH0(0898|0957|1102|1114):",
    ],
    except: [],
  },
  java: {
    about: "an exhausted heap or stack, threads that cannot be started, exceptions that nobody caught",
    severity: "critical",
    patterns: [
      "java\\.lang\\.(OutOfMemoryError|StackOverflowError|NoClassDefFoundError|UnsatisfiedLinkError)",
      '^Exception in thread "',
      "A fatal error has been detected by the Java Runtime Environment",
      "Application run failed",
    ],
    except: ["HeapDumpOnOutOfMemoryError", "ExitOnOutOfMemoryError"],
  },
  postgres: {
    about: "FATAL and PANIC, crashed server processes, damaged data",
    severity: "critical",
    patterns: [
      "\\b(FATAL|PANIC): ",
      "server process \\(PID \\d+\\) was terminated by signal",
      "could not (write|read|fsync|extend) (to )?(file|block)",
      "invalid page in block",
      "deadlock detected",
    ],
    except: [
      "FATAL:  (the database system is (starting up|shutting down)|terminating connection due to (administrator command|idle))",
      "FATAL:  (password authentication failed|role|database|no pg_hba\\.conf entry)",
    ],
  },
  mysql: {
    about: "errors of the server, crashed tables, deadlocks",
    severity: "critical",
    patterns: ["\\[ERROR\\]", "mysqld got signal", "is marked as crashed", "Deadlock found"],
    except: ["Aborted connection", "Access denied for user"],
  },
  redis: {
    about: "no memory, failed saving, lost replicas",
    severity: "critical",
    patterns: [
      "OOM command not allowed",
      "MISCONF Redis",
      "Background (saving|AOF rewrite) (error|terminated)",
      "Can't save in background",
      "REDIS BUG REPORT START",
      "Failed opening .* for saving",
    ],
    except: [],
  },
  python: {
    about: "tracebacks",
    severity: "warning",
    patterns: ["Traceback \\(most recent call last\\):", "\\bMemoryError\\b", "Fatal Python error:"],
    except: [],
  },
  node: {
    about: "errors that nobody caught, an exhausted heap",
    severity: "critical",
    patterns: [
      "Unhandled(PromiseRejection| 'error' event|Rejection)",
      "\\bUncaught(Exception)?\\b.*(Error|Exception)",
      "JavaScript heap out of memory",
      "^(Reference|Type|Syntax|Range)?Error: ",
    ],
    except: [],
  },
  php: {
    about: "fatal errors, exhausted memory or workers",
    severity: "critical",
    patterns: [
      "PHP (Fatal|Parse) error: ",
      "Allowed memory size of \\d+ bytes exhausted",
      "reached (pm\\.)?max_children",
    ],
    except: [],
  },
  crash: {
    about: "panics, segmentation faults, failed assertions, no memory, no space",
    severity: "critical",
    patterns: [
      "^(\\S+ )*panic: ",
      "\\bpanicked at ",
      "^fatal error: ",
      "[Ss]egmentation fault|\\bsegfault\\b|SIGSEGV|signal 11\\b",
      "[Aa]ssertion .* failed|core dumped|stack smashing detected|double free or corruption",
      "[Oo]ut of memory\\b|Cannot allocate memory",
      "No space left on device",
      "Too many open files",
    ],
    except: [],
  },
  errors: {
    about: "lines whose level is ERROR or worse",
    severity: "warning",
    patterns: [{ test: isErrorLine }],
    // Whoever looks for open doors makes sshd write these all day.
    except: ["error: (kex_exchange_identification|maximum authentication attempts|PAM: |Received disconnect from)"],
  },
};
