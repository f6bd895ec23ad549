import { codeRules } from "./code.ts";

/** SQLSTATE (ISO 9075; PostgreSQL's errcodes.txt), as it is written with a word before it. */
export const SQL_STATES = codeRules("sqlstate", [
  { category: "authentication", codes: "28000 | 28P01", form: "(?:sqlstate|code|state)[^\\w]{1,6}%" },
  { category: "permission_denied", codes: "42501", form: "(?:sqlstate|code|state)[^\\w]{1,6}%" },
  {
    category: "connection_refused",
    codes: "08001 | 08004 | 08006 | 08S01 | 57P01 | 57P02 | 57P03",
    form: "(?:sqlstate|code|state)[^\\w]{1,6}%",
    tier: "symptom",
    not: /password|authentication|timed? ?out|translate host|pg_hba/i,
  },
  { category: "disk_full", codes: "53100", form: "(?:sqlstate|code|state)[^\\w]{1,6}%" },
  { category: "out_of_memory", codes: "53200", form: "(?:sqlstate|code|state)[^\\w]{1,6}%" },
  { category: "resource_limit", codes: "53300 | 54001 | 54023", form: "(?:sqlstate|code|state)[^\\w]{1,6}%" },
  { category: "lock_conflict", codes: "40P01 | 55P03 | 40001", form: "(?:sqlstate|code|state)[^\\w]{1,6}%" },
  { category: "timeout", codes: "57014", form: "(?:sqlstate|code|state)[^\\w]{1,6}%", tier: "symptom" },
  { category: "data_corruption", codes: "XX001 | XX002", form: "(?:sqlstate|code|state)[^\\w]{1,6}%" },
  { category: "hardware_io", codes: "58030", form: "(?:sqlstate|code|state)[^\\w]{1,6}%", tier: "cause" },
]);

const MYSQL_FORM = "\\bERROR %(?=\\b[: (])|\\bGot error:? %(?=\\b[: ])|\\] \\[%\\]|\\berrno:? ?%(?!\\d)|\\(%, [u\"']";

/** MySQL's and MariaDB's numbers (share/messages_to_clients.txt, include/errmsg.h) and their names. */
export const MYSQL_NUMBERS = codeRules("mysql-number", [
  { category: "authentication", codes: "1045 | 1698 | 1524 | 2061 | 1130", form: MYSQL_FORM },
  { category: "permission_denied", codes: "1044 | 1142 | 1143 | 1227 | 1290", form: MYSQL_FORM, tier: "cause" },
  { category: "resource_limit", codes: "1040 | 1203 | 1226", form: MYSQL_FORM },
  { category: "lock_conflict", codes: "1205 | 1213", form: MYSQL_FORM },
  {
    category: "connection_refused",
    codes: "2002 | 2003 | 2006 | 2013",
    form: MYSQL_FORM,
    tier: "likely",
    not: /timed? ?out|\(110\)|\b110\b|\(13\)|unknown/i,
  },
  { category: "dns_failure", codes: "2005", form: MYSQL_FORM },
  { category: "disk_full", codes: "1021 | 1114", form: MYSQL_FORM },
  { category: "data_corruption", codes: "1034 | 1035 | 1194 | 1195 | 1712", form: MYSQL_FORM },
  { category: "config_error", codes: "1049", form: MYSQL_FORM, tier: "likely" },
]);

/** Oracle's and SQLite's (sqlite.org/rescode.html) codes. */
export const OTHER_DATABASES = codeRules("database-code", [
  { category: "authentication", codes: "ORA-01017 | ORA-28000 | ORA-28001 | ORA-01005" },
  {
    category: "connection_refused",
    codes: "ORA-12541 | ORA-12170 | ORA-12543 | ORA-03113 | ORA-03114 | ORA-01034",
    tier: "cause",
  },
  { category: "config_error", codes: "ORA-12154 | ORA-12514 | ORA-12505", tier: "cause" },
  { category: "disk_full", codes: "ORA-01653 | ORA-01654 | ORA-00257 | ORA-19809 | ORA-01688 | SQLITE_FULL" },
  {
    category: "data_corruption",
    codes:
      "ORA-01578 | ORA-00600 | SQLITE_CORRUPT | SQLITE_NOTADB | MDB_BAD_TXN | MDB_PAGE_NOTFOUND | LOCATED PAGE WAS WRONG TYPE",
  },
  { category: "out_of_memory", codes: "ORA-04031 | ORA-04030 | SQLITE_NOMEM" },
  { category: "resource_limit", codes: "ORA-00020 | ORA-00018 | ORA-12516 | ORA-12519" },
  { category: "lock_conflict", codes: "ORA-00060 | ORA-00054 | SQLITE_BUSY | SQLITE_LOCKED" },
  { category: "permission_denied", codes: "ORA-01031 | SQLITE_READONLY | SQLITE_PERM", tier: "cause" },
  { category: "hardware_io", codes: "SQLITE_IOERR | ORA-27072", tier: "cause" },
  { category: "missing_file", codes: "SQLITE_CANTOPEN", tier: "likely" },
]);

/** gRPC's status codes (google/rpc/code.proto) in the spellings of its languages. */
export const GRPC_CODES = codeRules("grpc", [
  {
    category: "authentication",
    codes: "UNAUTHENTICATED",
    form: "%|code = Unauthenticated",
    tier: "cause",
    not: /user: 'unauthenticated|allow.{0,10}unauthenticated|unauthenticated user/i,
  },
  {
    category: "permission_denied",
    codes: "PERMISSION_DENIED | code = PermissionDenied | StatusCode.PERMISSION_DENIED",
    tier: "cause",
    not: /invalid (?:api )?(?:token|key)|\/v2\/|from daemon/i,
  },
  {
    category: "resource_limit",
    codes: "RESOURCE_EXHAUSTED | code = ResourceExhausted",
    tier: "cause",
    not: /memory|\bOOM\b/i,
  },
  {
    category: "timeout",
    codes: "DEADLINE_EXCEEDED | code = DeadlineExceeded | context deadline exceeded",
    tier: "symptom",
    not: /pull|lock/i,
  },
  {
    category: "connection_refused",
    codes: "code = Unavailable | StatusCode.UNAVAILABLE | 14 UNAVAILABLE",
    tier: "symptom",
    not: /certificate|handshake|ssl|no such host|lookup|resolution|timed? ?out|deadline/i,
  },
  {
    category: "version_mismatch",
    codes: "code = Unimplemented | StatusCode.UNIMPLEMENTED | 12 UNIMPLEMENTED",
    tier: "cause",
  },
  { category: "data_corruption", codes: "DATA_LOSS | code = DataLoss", tier: "cause" },
]);

const STATUS_FORM =
  "\\b(?:http(?:/\\d(?:\\.\\d)?)?|status(?:[ _]?code)?|code|error|response|returned|got|received|responded(?: with)?|with|failed|answered|server)[^\\w]{0,6}(?:a |an |was |of |with |status |code |error |http )?%(?! ?(?:bytes|rows|entries|results|items|ms|records|files|messages|requests|documents|points|lines|seconds|users|jobs)\\b)";
const ACCESS_LINE =
  /probe|method=|HTTP\/[12]|"(?:GET|POST|PUT|HEAD|DELETE|PATCH|OPTIONS) |\bGET \/|\bPOST \/|pull|manifest|registry|\bimage\b|sqlstate|\bport\b|errno/i;

/** HTTP's status codes (RFC 9110, 6585, 4918), where a program says that it was answered so; not in access logs. */
export const HTTP_CODES = codeRules("http-status", [
  { category: "authentication", codes: "401 | 407", form: STATUS_FORM, tier: "cause", not: ACCESS_LINE },
  {
    category: "permission_denied",
    codes: "403",
    form: STATUS_FORM,
    tier: "likely",
    not: /"(?:GET|POST|PUT|HEAD) |\bGET \/|rate.?limit|pull|manifest|registry|\bimage\b|port/i,
  },
  { category: "resource_limit", codes: "429", form: STATUS_FORM, tier: "cause", not: ACCESS_LINE },
  { category: "timeout", codes: "504 | 408 | 524", form: STATUS_FORM, tier: "symptom", not: ACCESS_LINE },
  {
    category: "connection_refused",
    codes: "502 | 503 | 521 | 523",
    form: STATUS_FORM,
    tier: "symptom",
    not: ACCESS_LINE,
  },
  { category: "disk_full", codes: "507", form: STATUS_FORM, tier: "cause", not: ACCESS_LINE },
  { category: "lock_conflict", codes: "423", form: STATUS_FORM, tier: "likely", not: ACCESS_LINE },
  { category: "version_mismatch", codes: "426 | 505", form: STATUS_FORM, tier: "likely", not: ACCESS_LINE },
]);

/** curl's exit codes (curl.se/libcurl/c/libcurl-errors.html), as `curl: (7)` writes them. */
export const CURL_CODES = codeRules("curl", [
  { category: "dns_failure", codes: "curl: (6) | curl: (5)" },
  { category: "connection_refused", codes: "curl: (7)", tier: "likely", not: /timed? ?out/i },
  { category: "timeout", codes: "curl: (28)", tier: "likely" },
  { category: "tls_certificate", codes: "curl: (60) | curl: (51) | curl: (58) | curl: (77) | curl: (91)" },
  { category: "tls_certificate", codes: "curl: (35)", tier: "likely", not: /reset|timed? ?out|refused/i },
  { category: "authentication", codes: "curl: (67)" },
  { category: "connection_refused", codes: "curl: (52) | curl: (56)", tier: "symptom" },
  { category: "disk_full", codes: "curl: (23)", tier: "symptom" },
]);

/** Windows' socket numbers and NT status names, as Samba, CIFS, .NET and Go for Windows write them (MS-ERREF). */
export const WINDOWS_CODES = codeRules("windows", [
  {
    category: "port_conflict",
    codes: "WSAEADDRINUSE | 10048",
    form: "(?:WSA|error|errno|code|socket|\\[WinError|bind)[^\\w]{0,10}%",
    also: "WSAEADDRINUSE",
  },
  {
    category: "connection_refused",
    codes: "WSAECONNREFUSED | 10061 | STATUS_CONNECTION_REFUSED | STATUS_HOST_UNREACHABLE",
    form: "(?:WSA|error|errno|code|socket|\\[WinError)[^\\w]{0,10}%",
    also: "WSAECONNREFUSED|STATUS_CONNECTION_REFUSED|STATUS_HOST_UNREACHABLE",
    tier: "likely",
  },
  {
    category: "timeout",
    codes: "WSAETIMEDOUT | 10060 | NT_STATUS_IO_TIMEOUT | STATUS_IO_TIMEOUT",
    form: "(?:WSA|error|errno|code|socket|\\[WinError)[^\\w]{0,10}%",
    also: "STATUS_IO_TIMEOUT",
    tier: "symptom",
  },
  {
    category: "permission_denied",
    codes: "NT_STATUS_ACCESS_DENIED | STATUS_ACCESS_DENIED | 0x80070005 | WSAEACCES",
    tier: "cause",
  },
  {
    category: "authentication",
    codes:
      "NT_STATUS_LOGON_FAILURE | LOGON_FAILURE | STATUS_LOGON_FAILURE | NT_STATUS_WRONG_PASSWORD | NT_STATUS_ACCOUNT_LOCKED_OUT | NT_STATUS_PASSWORD_EXPIRED | NT_STATUS_NO_SUCH_USER | STATUS_PASSWORD_EXPIRED | STATUS_ACCOUNT_LOCKED_OUT | 0xc000006d | NT_STATUS_TRUSTED_RELATIONSHIP_FAILURE",
  },
  {
    category: "missing_file",
    codes: "NT_STATUS_OBJECT_NAME_NOT_FOUND | NT_STATUS_BAD_NETWORK_NAME | STATUS_BAD_NETWORK_NAME",
    tier: "cause",
  },
  {
    category: "tls_certificate",
    codes:
      "SEC_E_UNTRUSTED_ROOT | SEC_E_CERT_EXPIRED | SEC_E_WRONG_PRINCIPAL | SEC_E_CERT_UNKNOWN | CERT_E_UNTRUSTEDROOT | CERT_E_EXPIRED | CERT_E_CN_NO_MATCH | CRYPT_E_REVOKED",
  },
  { category: "disk_full", codes: "NT_STATUS_DISK_FULL | STATUS_DISK_FULL" },
]);

const MQTT_FORM = "connection (?:was )?refused[:,.]? ?(?:return code:?)? ?[\"'`(]{0,2}%";

/** What a broker answers to an MQTT client's CONNECT (MQTT 3.1.1, 3.2.2.3): it is there, and refuses. */
export const MQTT_CODES = codeRules("mqtt", [
  {
    category: "authentication",
    codes:
      "not authorised | not authorized | NotAuthorized | bad user name or password | bad username or password | BadUserNamePassword",
    form: MQTT_FORM,
  },
  { category: "lock_conflict", codes: "identifier rejected", form: MQTT_FORM, tier: "cause" },
  { category: "version_mismatch", codes: "unacceptable protocol version", form: MQTT_FORM },
]);

/** Result codes of LDAP (RFC 4511) by name, and of Kerberos (RFC 4120). */
export const DIRECTORY_CODES = codeRules("directory", [
  {
    category: "authentication",
    codes:
      "invalidCredentials | Invalid credentials (49) | LDAP_INVALID_CREDENTIALS | KRB5KDC_ERR_PREAUTH_FAILED | KDC_ERR_PREAUTH_FAILED | KDC_ERR_C_PRINCIPAL_UNKNOWN | KRB_AP_ERR_TKT_EXPIRED | KRB_AP_ERR_SKEW | KRB_AP_ERR_MODIFIED | KDC_ERR_S_PRINCIPAL_UNKNOWN | inappropriateAuthentication | strongAuthRequired",
  },
  {
    category: "permission_denied",
    codes: "insufficientAccessRights | Insufficient access (50) | LDAP_INSUFFICIENT_ACCESS",
    tier: "cause",
  },
  {
    category: "connection_refused",
    codes:
      "Can't contact LDAP server | LDAP_SERVER_DOWN | LDAP_UNAVAILABLE | Cannot contact any KDC | KRB5_KDC_UNREACH",
    tier: "cause",
    not: /certificate|tls|ssl/i,
  },
]);

/** D-Bus's errors (org.freedesktop.DBus.Error.*) and what its daemon says. */
export const DBUS_ERRORS = codeRules("dbus", [
  {
    category: "permission_denied",
    codes:
      "DBus.Error.AccessDenied | Rejected send message | DBus.Error.AuthFailed | Interactive authentication required",
    tier: "cause",
  },
  { category: "timeout", codes: "DBus.Error.NoReply | DBus.Error.Timeout | DBus.Error.TimedOut", tier: "symptom" },
  {
    category: "connection_refused",
    codes: "DBus.Error.ServiceUnknown | DBus.Error.NameHasNoOwner | DBus.Error.NoServer | DBus.Error.Disconnected",
    tier: "likely",
  },
  { category: "resource_limit", codes: "DBus.Error.LimitsExceeded", tier: "cause" },
]);

/** Reasons that Docker, containerd, Podman and Kubernetes give (pkg/kubelet/events, pkg/kubelet/images, moby's errdefs). */
export const CONTAINER_REASONS = codeRules("container-reason", [
  {
    category: "image_pull",
    codes:
      "ErrImagePull | ImagePullBackOff | InvalidImageName | ErrImageNeverPull | RegistryUnavailable | ErrInspectImage | ImageInspectError | manifest unknown | manifest_unknown",
    tier: "cause",
    not: /no such host|x509|no space/i,
  },
  {
    category: "image_pull",
    codes: "artifact",
    form: "(?:artifact|repository|manifest|image) [\\w./:@-]{1,200} not found",
    with: /daemon|registry|pull|docker|podman|artifact/i,
    tier: "cause",
  },
  { category: "out_of_memory", codes: "OOMKilled | OOMKilling | SystemOOM", not: /oomkilled"?\s?[:=]\s?"?false/i },
  {
    category: "config_error",
    codes: "CreateContainerConfigError | InvalidEnvironmentVariableNames | InvalidDiskCapacity",
    tier: "cause",
  },
  { category: "timeout", codes: "ActiveDeadlineExceeded | DeadlineExceeded", tier: "symptom", not: /rpc error|pull/i },
  {
    category: "disk_full",
    codes: "FreeDiskSpaceFailed | ImageGCFailed | NodeHasDiskPressure | EvictionThresholdMet",
    tier: "cause",
  },
]);

/** OpenSSL's reasons (include/openssl/*err.h), as its error strings end. */
export const OPENSSL_REASONS = codeRules("openssl", [
  {
    category: "tls_certificate",
    codes:
      "certificate verify failed | certificate is not yet valid | unable to get local issuer certificate | unable to get issuer certificate | unable to verify the first certificate | key values mismatch",
    not: /generat(?:ed|ing)/i,
  },
  {
    category: "tls_certificate",
    codes:
      "certificate has expired | self-signed certificate | self signed certificate | no shared cipher | sslv3 alert handshake failure | tlsv1 alert unknown ca | tlsv1 alert protocol version | tlsv1 alert internal error | wrong version number | unknown protocol | unsupported protocol | no start line | bad decrypt | bad base64 decode | ee key too small | ca md too weak | dh key too small | alert certificate expired | alert bad certificate | alert unknown ca | alert certificate revoked | crl has expired | hostname mismatch | ip address mismatch | no protocols available | unsafe legacy renegotiation disabled | legacy sigalg disallowed | peer did not return a certificate | Unrecognized SSL message | PEM lib",
    tier: "cause",
    not: /generat(?:ed|ing)|using (?:a )?self|unsupported protocol scheme|enc\b|decrypt (?:backup|archive|file)/i,
  },
]);
