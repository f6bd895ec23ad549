import { codeRules } from "./code.ts";

const DEEPER =
  /caused by|---> |connection refused|permission denied|no such file|timed? ?out|unknown ?host|already in use/i;

/** Node's and Bun's error codes (Node's doc/api/errors.md, libuv's and undici's codes; OpenSSL's reasons as Node spells them). */
export const NODE_CODES = codeRules("node-code", [
  {
    category: "tls_certificate",
    codes:
      "ERR_TLS_CERT_ALTNAME_INVALID | CERT_HAS_EXPIRED | CERT_NOT_YET_VALID | DEPTH_ZERO_SELF_SIGNED_CERT | SELF_SIGNED_CERT_IN_CHAIN | UNABLE_TO_VERIFY_LEAF_SIGNATURE | UNABLE_TO_GET_ISSUER_CERT | UNABLE_TO_GET_ISSUER_CERT_LOCALLY | CERT_UNTRUSTED | CERT_REVOKED | CERT_SIGNATURE_FAILURE | ERR_TLS_HANDSHAKE_TIMEOUT | ERR_SSL_WRONG_VERSION_NUMBER | ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE | EPROTO | ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
  },
  {
    category: "missing_dependency",
    codes: "ERR_MODULE_NOT_FOUND | ERR_PACKAGE_PATH_NOT_EXPORTED",
    tier: "cause",
    not: /NODE_MODULE_VERSION|invalid ELF|wrong ELF|GLIBC|module '\//i,
  },
  {
    category: "version_mismatch",
    codes: "ERR_REQUIRE_ESM | ERR_UNKNOWN_FILE_EXTENSION | ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING",
    tier: "cause",
  },
  { category: "missing_dependency", codes: "ERR_DLOPEN_FAILED", tier: "symptom" },
  { category: "out_of_memory", codes: "ERR_WORKER_OUT_OF_MEMORY | ERR_MEMORY_ALLOCATION_FAILED" },
  {
    category: "config_error",
    codes:
      "ERR_SOCKET_BAD_PORT | ERR_INVALID_URL | ERR_PARSE_ARGS_UNKNOWN_OPTION | ERR_INVALID_PACKAGE_CONFIG | ERR_INVALID_FILE_URL_PATH | ERR_INVALID_PROTOCOL",
    tier: "cause",
  },
  {
    category: "timeout",
    codes:
      "UND_ERR_CONNECT_TIMEOUT | UND_ERR_HEADERS_TIMEOUT | UND_ERR_BODY_TIMEOUT | ERR_SOCKET_CONNECTION_TIMEOUT | ESOCKETTIMEDOUT",
    tier: "likely",
  },
  { category: "connection_refused", codes: "UND_ERR_SOCKET | ERR_STREAM_PREMATURE_CLOSE", tier: "symptom" },
  {
    category: "crash",
    codes:
      "ERR_ASSERTION | ERR_INVALID_ARG_TYPE | ERR_INVALID_ARG_VALUE | ERR_OUT_OF_RANGE | ERR_INTERNAL_ASSERTION | ERR_INVALID_STATE | ERR_UNHANDLED_ERROR | ERR_METHOD_NOT_IMPLEMENTED | ERR_BUFFER_OUT_OF_BOUNDS",
    tier: "symptom",
  },
]);

/** Classes of exceptions: Python's exception hierarchy, java.*, .NET's System.*, Ruby's core and standard library, PHP's SPL. */
export const EXCEPTION_CLASSES = codeRules("exception-class", [
  {
    category: "dns_failure",
    codes:
      "UnknownHostException | gaierror | NameResolutionError | SocketError: getaddrinfo | UnresolvedAddressException | ClientConnectorDNSError | ResolutionError: getaddrinfo | Socket::ResolutionError",
  },
  {
    category: "port_conflict",
    codes: "BindException | AddressInUseException | Errno::EADDRINUSE | AddressAlreadyInUse",
    not: /permission denied|cannot assign|not permitted|can't assign/i,
  },
  {
    category: "permission_denied",
    codes:
      "AccessDeniedException | PermissionError | UnauthorizedAccessException | Errno::EACCES | Errno::EPERM | AccessControlException | SecurityException | NotCapable | PermissionDeniedError",
    tier: "cause",
    not: /s3|status code: 40[13]|jwt|token|read-only file system|signature/i,
  },
  {
    category: "missing_file",
    codes:
      "FileNotFoundError | FileNotFoundException | NoSuchFileException | Errno::ENOENT | DirectoryNotFoundException | NotADirectoryError | NotDirectoryException | MissingResourceException",
    tier: "cause",
    not: /permission denied|too many open files|assembly|\bsock\b|\.sock|is a directory|read-only/i,
  },
  {
    category: "missing_dependency",
    codes:
      "ModuleNotFoundError | ClassNotFoundException | NoClassDefFoundError | UnsatisfiedLinkError | DllNotFoundException | Gem::LoadError | Gem::MissingSpecError | Bundler::GemNotFound | PackageNotFoundError | DistributionNotFound | ServiceConfigurationError | FileLoadException | TypeInitializationException | NoSuchProviderException | ProviderNotFoundException | there is no package called",
    tier: "cause",
    not: /could not initialize class|optional|version/i,
  },
  {
    category: "missing_dependency",
    codes:
      "not found in current path | could not find module < | couldn't resolve module/action | could not find application file | as a dependency:",
    tier: "cause",
  },
  {
    category: "version_mismatch",
    codes:
      "UnsupportedClassVersionError | NoSuchMethodError | NoSuchFieldError | AbstractMethodError | IncompatibleClassChangeError | BadImageFormatException | VersionConflict | UnsupportedVersionException | InvalidClassException | IncompatibleProtocolException | IndexFormatTooOldException | IndexFormatTooNewException | UnsupportedProductError | FeatureNotSupportedException",
    tier: "cause",
  },
  {
    category: "out_of_memory",
    codes:
      "OutOfMemoryError | OutOfMemoryException | MemoryError | NoMemoryError | bad_alloc | InsufficientMemoryException | MEMORY_LIMIT_EXCEEDED | STORAGE_ERROR",
    not: /native thread|GC overhead limit \d/i,
  },
  {
    category: "connection_refused",
    codes:
      "ConnectionRefusedError | ConnectException | NoRouteToHostException | PortUnreachableException | Errno::ECONNREFUSED | Errno::EHOSTUNREACH | ClientConnectorError | NoBrokersAvailable | AMQPConnectionError | BrokerUnreachableException | CommunicationsException | MongoNetworkError | NoHostAvailableException | NoNodeAvailableException | RedisConnectionException | ServiceUnavailableException",
    tier: "likely",
    not: /timed? ?out|certificate|name or service|nodename|getaddrinfo|ssl|resolve|auth|permission denied/i,
  },
  {
    category: "connection_refused",
    codes:
      "ConnectionResetError | BrokenPipeError | ConnectionAbortedError | EOFError: end of file reached | Errno::EPIPE | Errno::ECONNRESET | ClosedChannelException | ConnectionClosedException | ServerDisconnectedError | RemoteDisconnected",
    tier: "symptom",
  },
  {
    category: "timeout",
    codes:
      "SocketTimeoutException | TimeoutException | TimeoutError | Net::OpenTimeout | Net::ReadTimeout | Timeout::Error | ConnectTimeout | ReadTimeout | ConnectTimeoutError | TaskCanceledException | HttpConnectTimeoutException | execution expired",
    tier: "symptom",
    not: /pool|lock|connection is not available/i,
  },
  {
    category: "tls_certificate",
    codes:
      "SSLHandshakeException | SSLPeerUnverifiedException | CertificateExpiredException | CertificateNotYetValidException | SSLCertVerificationError | CertPathValidatorException | SunCertPathBuilderException | OpenSSL::SSL::SSLError | OpenSSL::X509::CertificateError | ClientConnectorCertificateError | SSLCertificateError | CertificateException",
    tier: "cause",
    not: /connection reset|timed? ?out|EOF occurred|no such file|permission denied/i,
  },
  {
    category: "authentication",
    codes:
      "AuthenticationException | AuthenticationError | LoginFailure | SMTPAuthenticationError | BadCredentialsException | SaslAuthenticationException | LoginException | FailedLoginException | InvalidCredentialsException | AuthenticationFailed | AuthenticationFailureException | RefreshError | TokenExpiredError | JsonWebTokenError | ExpiredSignatureError | ExpiredSignatureException | InvalidSignatureError | UnauthorizedError | InvalidTokenError | BadAuthenticationException | NoCredentialsError | CredentialsProviderError | ExpiredTokenException | Net::SSH::AuthenticationFailed",
    not: /certificate|remote certificate|ssl|tls|encryption policy/i,
  },
  {
    category: "lock_conflict",
    codes:
      "OverlappingFileLockException | LockException | LockObtainFailedException | FileLockInterruptionException | DeadlockLoserDataAccessException | CannotAcquireLockException | LockTimeout | AlreadyRunningException | InstanceAlreadyExistsException | LockError | PessimisticLockException | LockTimeoutException",
    tier: "cause",
  },
  {
    category: "resource_limit",
    codes:
      "RejectedExecutionException | TooManyRequestsException | TooManyRequestsError | RateLimitError | RateLimitException | ThrottlingException | ConnectionPoolTimeoutException | PoolExhaustedException | LimitExceededException | RequestLimitExceeded | ProvisionedThroughputExceededException | QuotaExceededException | unable to create new native thread | TOO_MANY_PARTS | TOO_MANY_SIMULTANEOUS_QUERIES",
    tier: "cause",
  },
  {
    category: "data_corruption",
    codes:
      "CorruptIndexException | CorruptRecordException | CorruptSSTableException | CorruptionException | StreamCorruptedException | ZipException | BadZipFile | UnpicklingError | InvalidDataException | ChecksumException | TranslogCorruptedException | CommitLogReadException | CommitLogReplayException | JournalCorruptionException | MDB_CORRUPTED | MDB_INVALID | BadGzipFile | Zlib::DataError | Zlib::BufError | Zlib::GzipFile::Error | MalformedDatabaseError | TruncatedFileError",
    not: /no space|permission denied/i,
  },
  {
    category: "config_error",
    codes:
      "OptionsValidationException | ConfigurationErrorsException | ConfigurationException | ConfigurationError | ImproperlyConfigured | ConfigException | InvalidConfigurationException | BeanDefinitionParsingException | MalformedURLException | URISyntaxException | UriFormatException | InvalidConnectionStringException | ConfigurationPropertiesBindException | UnsatisfiedConfiguration | Psych::SyntaxError | YAMLException | ScannerError | TOMLDecodeError | MissingSectionHeaderError | NoSectionError | NoOptionError | KeyError: key not found: | MissingConfigException | ConfigError | ConfigParseException | ConfigValidationError | KeyNotFoundError | Fluent::ConfigError | MissingRequiredConfiguration",
    tier: "cause",
    not: /connection refused|no such file|permission denied|timed? ?out|gem search/i,
  },
  {
    category: "crash",
    codes:
      "NullPointerException | NullReferenceException | ArrayIndexOutOfBoundsException | StringIndexOutOfBoundsException | IndexOutOfBoundsException | IndexOutOfRangeException | ClassCastException | ArithmeticException | ConcurrentModificationException | NegativeArraySizeException | StackOverflowError | StackOverflowException | InvalidCastException | DivideByZeroException | AttributeError | UnboundLocalError | ZeroDivisionError | RecursionError | UnicodeDecodeError | UnicodeEncodeError | NoMethodError | FrozenError | FunctionClauseError | MatchError | UndefinedFunctionError | CaseClauseError | WithClauseError | ArgumentCountError | UninitializedPropertyAccessException | ReferenceError | RangeError | AssertionError | AssertionFailedException | NotImplementedError | NoSuchElementException | NumberFormatException | FormatException | ExceptionInInitializerError | uninitialized constant | undefined local variable or method",
    tier: "likely",
    not: DEEPER,
  },
  {
    category: "crash",
    codes:
      "Can't locate object method | Call to undefined function | attempt to index a nil value | attempt to call a nil value | attempt to perform arithmetic | attempt to compare | attempt to concatenate | on an undefined value at | Not a HASH reference | Not an ARRAY reference | Can't call method | Prelude.head: empty list | Non-exhaustive patterns | Prelude.!! | Unexpectedly found nil | Fatal error: exception | Fatal error: Index out of range | reached unreachable code | integer overflow | invalid literal for int() | is not JSON serializable | object is not subscriptable | object is not callable | object has no attribute | not enough values to unpack | too many values to unpack | takes no arguments | missing 1 required positional argument | unexpected keyword argument | list index out of range | string index out of range | local variable",
    tier: "likely",
    not: /\bdebug\b/i,
  },
]);

/** Rust's std::io::ErrorKind, as `{:?}` writes it. */
export const RUST_KINDS = codeRules("rust-kind", [
  { category: "missing_file", codes: "NotFound", form: "kind: %", tier: "cause" },
  { category: "permission_denied", codes: "PermissionDenied", form: "kind: %", tier: "root" },
  {
    category: "connection_refused",
    codes: "ConnectionRefused | HostUnreachable | NetworkUnreachable",
    form: "kind: %",
    tier: "likely",
  },
  {
    category: "connection_refused",
    codes: "ConnectionReset | ConnectionAborted | NotConnected | BrokenPipe",
    form: "kind: %",
    tier: "symptom",
  },
  { category: "port_conflict", codes: "AddrInUse", form: "kind: %" },
  { category: "config_error", codes: "AddrNotAvailable", form: "kind: %", tier: "likely" },
  { category: "timeout", codes: "TimedOut", form: "kind: %", tier: "symptom" },
  { category: "disk_full", codes: "StorageFull | QuotaExceeded | FilesystemQuotaExceeded", form: "kind: %" },
  { category: "out_of_memory", codes: "OutOfMemory", form: "kind: %" },
  { category: "data_corruption", codes: "UnexpectedEof", form: "kind: %", tier: "symptom" },
]);

/** Reasons that Erlang's and Elixir's programs end with beside the error numbers (inet, file, gen_server, ssl). */
export const ERLANG_REASONS = codeRules("erlang-reason", [
  { category: "dns_failure", codes: "nxdomain" },
  { category: "missing_dependency", codes: "missing_dependencies" },
  {
    category: "lock_conflict",
    codes: "already_registered | duplicate_name | {already_started",
    tier: "cause",
    not: /application|supervisor: \{local/i,
  },
  { category: "resource_limit", codes: "system_limit", tier: "cause" },
  {
    category: "tls_certificate",
    codes: "bad_certificate | {bad_cert | certificate_expired | unknown_ca | {tls_alert",
    not: /handshake.{0,40}time/i,
  },
  {
    category: "data_corruption",
    codes: "not_a_log_file | premature_eof | {badmatch,{error,{not_a | bad_chunk | {file_error | corrupt_table",
    tier: "cause",
  },
  { category: "missing_file", codes: "{error,enoent} | ,enoent} | {enoent", tier: "cause" },
]);
