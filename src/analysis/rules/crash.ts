import { rulesOf, words } from "./rule.ts";

const FIX =
  "This is a fault of {source} itself. Keep the lines ({logs}) and the core dump (`coredumpctl list`), {restart} to have it back, and go to the last version that worked or report the fault with its trace.";

/** The program's own fault: a signal, an assertion, a panic, an exception that nobody caught. */
export const CRASH = rulesOf("crash", FIX, [
  {
    id: "segmentation-fault",
    any: words(`
      segfault at | segmentation fault | sigsegv | signal 11 | status=11/segv | code=dumped | general protection fault
      received signal 11 | access violation | accessviolationexception | exc_bad_access | segmentation violation
      speicherzugriffsfehler | general protection ip | traps:
    `),
    when: /segfault at|segmentation (?:fault|violation)|SIGSEGV|signal 11\b|11\/SEGV|general protection|access ?violation|EXC_BAD_ACCESS|speicherzugriff|traps:.{1,120}(?:trap|protection)/i,
    not: /invalid opcode/i,
    exitCodes: [139],
    tier: "cause",
    cause: "{source} crashed: it touched memory that it must not (segmentation fault).",
  },
  {
    id: "illegal-instruction",
    any: words(`illegal instruction | sigill | status=4/ill | invalid opcode | trap invalid opcode`),
    exitCodes: [132],
    tier: "cause",
    cause: "{source} ended on an instruction that this processor does not know.",
    fix: "As a rule {source} was built for a newer processor: compare `lscpu` with its requirements, take a build for this processor, then {restart}.",
  },
  {
    // The C library's own checks: it says so and ends the program.
    id: "heap-check",
    beats: ["aborted", "own-state-broken"],
    any: words(`
      double free or corruption | double free detected | free(): invalid | munmap_chunk(): invalid | malloc(): | realloc(): invalid
      corrupted size vs. prev_size | corrupted double-linked list | malloc_consolidate(): | stack smashing detected | buffer overflow detected | invalid fastbin
    `),
    when: /(?:double free|free\(\): invalid|munmap_chunk|malloc\(\): (?:corrupt|memory corruption|invalid|unaligned|unsorted|smallbin|mismatching)|realloc\(\): invalid|corrupted (?:size|double-linked)|malloc_consolidate|(?:stack smashing|buffer overflow) detected|invalid fastbin)/i,
    exitCodes: [6, 134],
    tier: "root",
    cause: "{source} damaged its own memory, which the C library found and ended it for.",
  },
  {
    id: "aborted",
    any: words(`
      sigabrt | status=6/abrt | signal 6 | assertion failed | assertion \` | assertion failure | aborted (core dumped)
      core dumped | sigbus | status=7/bus | bus error | stack smashing detected | double free or corruption
      free(): invalid | malloc(): | terminate called after throwing | terminate called without | munmap_chunk()
      heap corruption | stack overflow | assert failed | got signal | fatal assertion | invariant failure
      assertion error | assertionerror | fassert | buffer overflow detected | corrupted size vs. prev_size | signal 8
      sigfpe | floating point exception | mysqld got signal | realloc(): invalid | failed assertion | assert(
    `),
    when: /sigabrt|6\/abrt|signal [68]\b|assert|core dumped|sigbus|7\/bus|bus error|stack smashing|double free|free\(\)|malloc\(\)|realloc\(\)|munmap_chunk|terminate called|heap corruption|stack overflow|got signal|invariant failure|fassert|buffer overflow|corrupted size|sigfpe|floating point exception/i,
    not: /(?:i2c|spi|usb|pcie|scsi|can|d-) ?bus|watchdog|user assertion|assertion while executing|signal 15|\bdebug\b|to get signal|got signal (?:15|term|int|hup)|sigterm|stackoverflow\.com/i,
    exitCodes: [134],
    tier: "likely",
    cause: "{source} ended itself on a state that must not be (an assertion, an abort or a broken heap).",
  },
  {
    id: "go-panic",
    any: words(`
      panic: runtime error | panic serving | fatal error: all goroutines are asleep | fatal error: concurrent map
      invalid memory address or nil pointer | unexpected fault address | fatal error: unexpected signal
      observed a panic | index out of range [ | slice bounds out of range | fatal error: stack overflow
      interface conversion:
    `),
    exitCodes: [2],
    tier: "cause",
    cause: "The Go program {source} panicked: {detail|a fault in its own code}.",
  },
  {
    id: "rust-panic",
    any: words(`panicked at | option::unwrap() | has overflowed its stack`),
    not: /no such file|os error|permission denied|connection refused|address already in use|addrinuse|notfound|connectionrefused|configerror/i,
    exitCodes: [101],
    tier: "likely",
    cause: "The Rust program {source} panicked in its own code.",
  },
  {
    id: "kernel-panic",
    any: words(`
      kernel panic | kernel bug at | bug: unable to handle | bug: kernel null pointer | oops:
      unable to handle kernel | general protection fault: 0000 | rip: 0010 | fatal exception in interrupt
      kernel: oops | internal error: oops
    `),
    when: /kernel panic|kernel BUG|BUG: (?:kernel|unable|sched|soft|spin|Bad)|Oops: \d|unable to handle|general protection|fatal exception/i,
    not: /soft lockup|panic=/i,
    tier: "cause",
    cause: "The kernel itself failed (a bug in it or in a driver).",
    fix: "Keep the trace (`journalctl -k -b -1`). Boot the kernel that worked before, update kernel, drivers and firmware of {source}'s host, and test its memory when it comes back.",
  },
  {
    id: "node-uncaught",
    any: words(`
      typeerror: | referenceerror: | rangeerror: | syntaxerror: | unhandledpromiserejection
      unhandled promise rejection | uncaughtexception | uncaught exception | unhandled 'error' event
      unhandled exception | uncaught error | err_unhandled_rejection | cannot read propert | is not a function
      is not defined | maximum call stack | unhandledrejection | unhandled rejection
    `),
    when: /(?:type|reference|range|syntax)error: |unhandled ?(?:promise|exception|rejection|'error')|uncaught ?(?:exception|error)|UNHANDLED_REJECTION|cannot read propert|is not a function|is not defined|maximum call stack/i,
    not: /config|\.ya?ml|certificate|environment variable|deprecat|\[DEP|"[A-Z_]{1,60}" is not defined in/i,
    tier: "wrapper",
    cause: "{source} ended on an error in its own code that nothing caught.",
  },
  {
    id: "type-error-fatal",
    any: words(`
      typeerror: cannot | typeerror: | nullpointerexception | nullreferenceexception | attributeerror: | nomethoderror
      indexoutofboundsexception | classcastexception | undefined method | call to a member function
      call to undefined method | argumentcount | uncaught typeerror | unboundlocalerror | nameerror: | indexerror:
      zerodivisionerror | recursionerror | stackoverflowerror | concurrentmodificationexception
      indexoutofrangeexception | keynotfoundexception
      referenceerror:
    `),
    when: /TypeError: |NullPointer|NullReference|AttributeError: |NoMethodError|OutOf(?:Bounds|Range)Exception|ClassCast|undefined method|member function|ArgumentCount|UnboundLocal|NameError: |IndexError: |ZeroDivision|RecursionError|StackOverflowError|ConcurrentModification|KeyNotFound|ReferenceError: /,
    not: /\bwarn\b|\binfo\b(?!['"]:)|\bdebug\b|config/i,
    tier: "symptom",
    cause: "{source} ended on a fault in its own code: {detail|see the line}.",
  },
  {
    id: "jvm-crash",
    any: words(`
      a fatal error has been detected by the java runtime environment | problematic frame | hs_err_pid | sigsegv (0xb)
      internal error ( | exceptionininitializererror | could not initialize class
    `),
    when: /fatal error has been detected|problematic frame|hs_err_pid|SIGSEGV|exceptionininitializer|could not initialize class/i,
    not: /insufficient memory/i,
    exitCodes: [134],
    tier: "cause",
    cause: "The Java machine of {source} itself crashed.",
  },
  {
    id: "child-died",
    any: words(`
      exited on signal 11 | exited on signal 6 | exited on signal 7 | exited on signal 4 | exit signal segmentation
      exit signal aborted | exit signal bus | was terminated by signal 11 | was terminated by signal 6
      was terminated by signal 7 | was terminated by signal 4 | terminated by signal sigsegv
      child exited with signal 11 | (sigsegv | sent signal sigsegv | was sent sigsegv | killed with signal 11
      died on signal 11 | killed by signal 11 | terminated by signal 11
    `),
    not: /startup process/i,
    tier: "cause",
    cause: "A worker process of {source} crashed.",
  },
  {
    id: "erlang-crash",
    any: words(`
      kernel pid terminated | init terminating in do_boot | crash dump is being written
      runtime terminating during boot | supervisor report | error in process < | badmatch | function_clause
    `),
    when: /kernel pid terminated|init terminating|crash dump|terminating during boot|badmatch|function_clause|error in process/i,
    not: /econnrefused|nxdomain|eaddrinuse|eacces|enoent|emfile|failed_to_start_child|timeout/i,
    tier: "wrapper",
    cause: "The Erlang program {source} ended on an internal error.",
  },
  {
    id: "php-fatal",
    any: words(`php fatal error | fatal error: uncaught | php parse error`),
    when: /fatal error|parse error/i,
    not: /allowed memory size|failed opening required|class ['"]|undefined function|sqlstate|connection refused|maximum execution time|interface/i,
    exitCodes: [255],
    tier: "symptom",
    cause: "A PHP script of {source} ended on a fatal error in its code.",
  },
  {
    id: "panic-generic",
    any: words(`panic: | thread panicked | panicked | guru meditation`),
    when: /panic/i,
    not: /\bpanic=/i,
    tier: "wrapper",
    cause: "{source} panicked.",
  },
  {
    id: "exception-generic",
    any: words(`
      exception in thread | unhandled exception | uncaught exception | traceback (most recent call last)
      fatal exception | goroutine 1 [running] | unexpected exception | internal error | internal server error
      exception occurred | caught exception | fatal signal | unhandled error | fatal unhandled | runtimeerror:
      valueerror: | exception:
      keyerror: | unicodedecodeerror: | filter error | genserver | undefinedfunctionerror | fatal python error | argumenterror | illegalargumentexception | assertionerror | fatal error in
    `),
    not: /\bat .{1,80}\(.{1,80}:\d|\bwarn\b|\binfo\b(?!['"]:)|\bdebug\b/i,
    tier: "wrapper",
    cause: "{source} ended on an exception that nothing caught.",
  },
  {
    id: "thrown-error",
    any: words(
      `throw new | throw err | throw er; | raise exception | illegalstateexception | invalidoperationexception | raise runtimeerror`,
    ),
    tier: "wrapper",
    cause: "{source} ended on an error that its code threw and nothing caught.",
  },
  {
    id: "core-dump-result",
    any: words(`
      failed with result 'core-dump' | result: core-dump | dumped core | code=dumped | result 'core-dump'
      process dumped core
    `),
    exitCodes: [139, 134],
    tier: "symptom",
    cause: "{source} crashed and left a core dump.",
  },
  {
    id: "exit-by-crash",
    where: "message",
    any: words(`
      exited with code 139 | (139) | exit code 139 | status 139 | exited with code 132 | (132) | exit code 132 | (134)
      exited with code 134 | exit code 134
    `),
    tier: "wrapper",
    cause: "{source} was ended by a signal that means a crash.",
  },
]);
