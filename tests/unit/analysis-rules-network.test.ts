import { describe, expect, test } from "bun:test";
import type { Category } from "../../src/analysis/model.ts";
import { categoryOfLine, type RuleLines } from "../support/rule-lines.ts";

const LINES: Partial<Record<Category, RuleLines>> = {
  connection_refused: {
    must: [
      "Error: connect ECONNREFUSED 127.0.0.1:6379",
      "psycopg2.OperationalError: could not connect to server: Connection refused",
      "dial tcp 10.0.0.3:9092: connect: no route to host",
      "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
      "ERROR 2002 (HY000): Can't connect to local MySQL server through socket '/run/mysqld/mysqld.sock' (2)",
      "dial unix /run/app.sock: connect: no such file or directory",
      "PrismaClientInitializationError: Can't reach database server at `db`:`5432`",
      "KeeperErrorCode = ConnectionLoss for /brokers",
      "haproxy[7]: backend app has no server available!",
    ],
    mustNot: [
      "INFO connected to 10.0.0.3:5432",
      "connect to db: getaddrinfo ENOTFOUND db",
      "client 10.0.0.8 disconnected",
    ],
  },
  dns_failure: {
    must: [
      "getaddrinfo ENOTFOUND api.internal",
      "curl: (6) Could not resolve host: example.internal",
      "dial tcp: lookup db on 127.0.0.11:53: no such host",
      "java.net.UnknownHostException: broker-1: Name or service not known",
      "ping: bad address 'postgres'",
      'could not translate host name "db" to address: Temporary failure in name resolution',
      'nginx: [emerg] host not found in upstream "web" in /etc/nginx/conf.d/x.conf:3',
      "net::ERR_NAME_NOT_RESOLVED at https://x.example",
    ],
    mustNot: [
      "INFO resolved db to 10.0.0.4",
      "WARNING: cannot resolve symbol 'foo' in class Bar",
      "apache2: Could not reliably determine the server's fully qualified domain name",
    ],
  },
  tls_certificate: {
    must: [
      "x509: certificate has expired or is not yet valid: current time 2026-01-01T00:00:00Z is after 2025-12-31T00:00:00Z",
      "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate",
      "javax.net.ssl.SSLHandshakeException: PKIX path building failed",
      "Error: unable to verify the first certificate",
      "VERIFY ERROR: depth=0, error=certificate has expired: CN=vpn",
      "Hostname/IP does not match certificate's altnames: Host: a.example. is not in the cert's altnames",
      "remote error: tls: bad certificate",
      "x509: certificate signed by unknown authority",
      "SSL_CTX_use_PrivateKey_file() failed: key values mismatch",
    ],
    mustNot: [
      "INFO generated self-signed certificate for localhost",
      "net/http: TLS handshake timeout",
      "INFO certificate renewed, valid for 90 days",
    ],
  },
  authentication: {
    must: [
      'FATAL:  password authentication failed for user "app"',
      "ERROR 1045 (28000): Access denied for user 'app'@'10.0.0.2' (using password: YES)",
      "WRONGPASS invalid username-password pair or user is disabled.",
      "MongoServerError: Authentication failed.",
      "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
      "git@github.com: Permission denied (publickey).",
      "botocore.exceptions.ClientError: (InvalidClientTokenId) The security token included in the request is invalid.",
      "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://api.example.com",
      "slack_sdk.errors.SlackApiError: invalid_auth",
      "remote: HTTP Basic: Access denied",
    ],
    mustNot: [
      "sshd[1]: Failed password for invalid user admin from 203.0.113.5 port 4022 ssh2",
      '10.0.0.1 - - "GET /admin HTTP/1.1" 401 Unauthorized',
      "SyntaxError: Unexpected token } in JSON at position 3",
      "INFO user alice authenticated",
    ],
  },
  timeout: {
    must: [
      "app.service: start operation timed out. Terminating.",
      "context deadline exceeded",
      "connect ETIMEDOUT 203.0.113.4:443",
      "[CRITICAL] WORKER TIMEOUT (pid:17)",
      "java.net.SocketTimeoutException: Read timed out",
      "wait-for-it.sh: timeout occurred after waiting 30 seconds for db:5432",
      "net/http: TLS handshake timeout",
    ],
    mustNot: [
      "INFO timeout=30s keepalive=10s",
      "Lock wait timeout exceeded; try restarting transaction",
      "DEBUG set timeout to 30",
    ],
  },
  crash: {
    must: [
      "app[7]: segfault at 0 ip 00007f sp 00007f error 4 in libc.so.6",
      "panic: runtime error: index out of range [3] with length 3",
      "thread 'main' panicked at 'called `Result::unwrap()` on an `Err` value: Overflow'",
      "TypeError: Cannot read properties of null (reading 'x')",
      "app: main.c:17: main: Assertion `x > 0' failed.",
      "double free or corruption (out)",
      "traps: app[99] trap invalid opcode ip:401136 sp:7ffd",
      "Kernel panic - not syncing: Fatal exception in interrupt",
      "*** stack smashing detected ***: terminated",
      "app.service: Main process exited, code=dumped, status=11/SEGV",
      "AttributeError: 'NoneType' object has no attribute 'id'",
    ],
    mustNot: [
      "panic: listen tcp :80: bind: address already in use",
      "INFO crash reporter started",
      'PANIC:  could not write to file "pg_wal/x": No space left on device',
    ],
  },
  data_corruption: {
    must: [
      "PANIC:  could not locate a valid checkpoint record",
      "[ERROR] InnoDB: Database page corruption on disk or a failed file read of page [page id: space=0, page number=5].",
      "sqlite3.DatabaseError: database disk image is malformed",
      "Bad file format reading the append only file",
      "org.apache.lucene.index.CorruptIndexException: codec footer mismatch",
      "BTRFS error (device sda1): parent transid verify failed on 123 wanted 5 found 4",
      "panic: walpb: crc mismatch",
      "error: object file .git/objects/ab/cd is empty",
      "Table './shop/orders' is marked as crashed and should be repaired",
    ],
    mustNot: [
      "File /var/log/journal/x/system.journal corrupted or uncleanly shut down, renaming and replacing.",
      "INFO checksum of default.conf is fine",
      "double free or corruption (out)",
    ],
  },
  unknown: {
    must: [
      "app.service: Main process exited, code=exited, status=1/FAILURE",
      "app.service: Start request repeated too quickly.",
      "npm ERR! code ELIFECYCLE",
      "INFO all good, 0 errors, no failures",
      "INFO retrying connection: succeeded",
      "received SIGTERM, bye",
    ],
    mustNot: ["connection refused"],
  },
};

describe.each(Object.entries(LINES))("%s", (category, { must, mustNot }) => {
  test.each(must.map((line) => [line]))("is what %s shows", (line) => {
    expect(categoryOfLine(line)).toBe(category as Category);
  });
  test.each(mustNot.map((line) => [line]))("is not what %s shows", (line) => {
    expect(categoryOfLine(line)).not.toBe(category as Category);
  });
});
