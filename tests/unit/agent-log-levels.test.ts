import { describe, expect, test } from "bun:test";
import { parseLogRules } from "../../src/config/log-rules.ts";
import { stripControls } from "../../src/lib/controls.ts";

const parsed = parseLogRules("unit:* errors");
if ("fault" in parsed) throw new Error(parsed.fault);
const [rule] = parsed.rules;
/** As the collector of logs reads a line. */
const isFound = (raw: string) => {
  const line = stripControls(raw);
  return rule?.patterns.some((one) => one.test(line)) && !rule.except.some((one) => one.test(line));
};

describe("the preset errors finds the errors of", () => {
  test.each([
    ["syslog, on a day of two digits", "Nov 18 21:45:29 web app[123]: ERROR cannot connect"],
    ["syslog, on a day of one digit", "Nov  8 21:45:29 web app[123]: ERROR cannot connect"],
    ["syslog, in lower case", "Nov  8 21:45:29 mail postfix/smtpd[12]: fatal: open database /etc/aliases.db"],
    ["syslog of RFC 5424, by its number", "<11>1 2026-11-28T21:55:18.003Z web app 123 ID47 - cannot connect"],
    ["syslog of RFC 5424, by its word", '<14>1 2026-11-28T21:55:18Z web app 123 - [a@1 b="c"] ERROR cannot connect'],
    ["sd-daemon", "<3>cannot connect"],
    ["the journal", "2026-11-28T21:55:18+0000 web app[71]: ERROR cannot connect"],
    ["a program that counts bytes", "ERROR: 0 bytes came from the database"],
    ["Docker's own files", '{"log":"2026-11-28 ERROR no\\n","stream":"stderr","time":"2026-11-28T21:55:18Z"}'],
    ["CRI", "2026-11-28T21:55:18.123456789Z stderr F ERROR cannot connect"],
    ["Docker Compose", "web-1  | 2026-11-28 21:55:18 ERROR cannot connect"],
    ["Docker Compose, of a service without a digit", "db  | ERROR:  relation does not exist"],
    ["Python's logging", "ERROR:root:cannot connect"],
    ["Python's logging, as it is mostly set", "2026-11-28 21:55:18,123 - shop.orders - ERROR - cannot connect"],
    ["Gunicorn", "[2026-11-28 21:55:18 +0000] [12] [ERROR] Worker (pid:14) was sent SIGKILL!"],
    ["Uvicorn", "ERROR:    Exception in ASGI application"],
    ["Celery", "[2026-11-28 21:55:18,123: ERROR/ForkPoolWorker-1] Task shop.pay raised unexpected"],
    ["Loguru", "2026-11-28 21:55:18.123 | ERROR    | shop.orders:pay:12 - cannot connect"],
    ["structlog", "2026-11-28 21:55:18 [error    ] cannot connect             order=7"],
    ["Tornado", "[E 261128 21:55:18 web:1875] 500 POST /pay (::1) 12.00ms"],
    ["Logback", "21:55:18.123 [http nio 8080 exec 1] ERROR com.example.Shop - cannot connect"],
    ["Spring Boot", "2026-11-28T21:55:18.123+00:00 ERROR 1 --- [nio-8080-exec-1] o.a.c.c.C.[.[.[/] : no"],
    ["Log4j", "2026-11-28 21:55:18,123 ERROR [main] com.example.Shop: cannot connect"],
    ["java.util.logging", "SEVERE: cannot connect"],
    ["Tomcat", "28-Nov-2026 21:55:18.123 SEVERE [main] org.apache.catalina.core.StandardService.start no"],
    ["logrus", 'time="2026-11-28T21:55:18Z" level=error msg="cannot connect" order=7'],
    ["logfmt with its level behind", 'msg="the order is bad" order=7 level=error'],
    ["slog", 'time=2026-11-28T21:55:18.123Z level=ERROR msg="cannot connect"'],
    ["slog in JSON", '{"time":"2026-11-28T21:55:18Z","level":"ERROR","msg":"cannot connect"}'],
    ["zap with tabs", "2026-11-28T21:55:18.123Z\tERROR\tshop/main.go:12\tcannot connect"],
    ["zap in JSON", '{"level":"fatal","ts":1795902918.1,"caller":"shop/main.go:12","msg":"no"}'],
    ["zerolog with colours", "\u001b[90m9:55PM\u001b[0m \u001b[1m\u001b[31mERR\u001b[0m\u001b[0m cannot connect"],
    ["klog", "E1128 21:55:18.123456   12 controller.go:12] cannot connect"],
    ["hclog", "2026-11-28T21:55:18.123Z [ERROR] agent.server: cannot connect"],
    ["geth", "ERROR[11-28|21:55:18.123] cannot connect                 err=refused"],
    ["pino", '{"level":50,"time":1795902918123,"pid":1,"hostname":"web","msg":"cannot connect"}'],
    ["bunyan, cut off", '{"name":"shop","hostname":"web","pid":1,"level":60,"msg":"cannot con'],
    ["winston", "error: cannot connect"],
    ["winston with a time", "2026-11-28T21:55:18.123Z error: cannot connect"],
    [
      "NestJS with colours",
      "\u001b[31m[Nest] 12  - \u001b[39m11/28/2026, 9:55:18 PM \u001b[31m  ERROR\u001b[39m [Shop] no",
    ],
    ["npm", "npm ERR! code ELIFECYCLE"],
    ["Laravel", '[2026-11-28 21:55:18] production.ERROR: cannot connect {"exception":"[object]"}'],
    ["Monolog", "[2026-11-28T21:55:18.123456+00:00] app.CRITICAL: cannot connect [] []"],
    ["PHP", "[28-Nov-2026 21:55:18 UTC] PHP Fatal error:  Uncaught Error: no in /srv/a.php:3"],
    ["PHP-FPM", "[28-Nov-2026 21:55:18] ERROR: unable to bind listening socket"],
    ["Ruby's Logger", "E, [2026-11-28T21:55:18.123456 #12] ERROR -- : cannot connect"],
    ["nginx", "2026/11/28 21:55:18 [error] 17#17: *1 connect() failed (111: Connection refused)"],
    ["Apache", "[Sat Nov 28 21:55:18.123456 2026] [proxy:error] [pid 12] AH00957: HTTP: attempt failed"],
    ["PostgreSQL", '2026-11-28 21:55:18.123 UTC [12] ERROR:  relation "orders" does not exist'],
    ["MySQL", "2026-11-28T21:55:18.123456Z 0 [ERROR] [MY-010119] [Server] Aborting"],
    ["MongoDB", '{"t":{"$date":"2026-11-28T21:55:18.123Z"},"s":"E","c":"NETWORK","id":1,"ctx":"main","msg":"no"}'],
    ["Elasticsearch", "[2026-11-28T21:55:18,123][ERROR][o.e.b.Bootstrap] [node-1] Exception"],
    ["Kafka", "[2026-11-28 21:55:18,123] ERROR [KafkaServer id=0] Fatal error during startup"],
    ["RabbitMQ", "2026-11-28 21:55:18.123456+00:00 [error] <0.123.0> cannot connect"],
    ["Erlang", "=ERROR REPORT==== 28-Nov-2026::21:55:18.123 ==="],
    [".NET", "fail: Microsoft.AspNetCore.Server.Kestrel[13]"],
    ["Serilog", "[21:55:18 ERR] cannot connect"],
    ["Serilog in JSON", '{"@t":"2026-11-28T21:55:18Z","@mt":"cannot connect","@l":"Error"}'],
    ["NLog", "2026-11-28 21:55:18.1234|ERROR|Shop.Orders|cannot connect"],
    ["Rust's env_logger", "[2026-11-28T21:55:18Z ERROR shop::orders] cannot connect"],
    ["Rust's tracing", "2026-11-28T21:55:18.123456Z ERROR shop::orders: cannot connect"],
    ["HAProxy", "[ALERT]    (12) : config : proxy 'web' has no server"],
    ["fluentd", "2026-11-28 21:55:18 +0000 [error]: #0 cannot connect"],
    ["Google Cloud", '{"severity":"ERROR","message":"cannot connect"}'],
    ["Elastic Common Schema", '{"@timestamp":"2026-11-28T21:55:18Z","log.level":"error","message":"no"}'],
    ["Elastic Common Schema, nested", '{"@timestamp":"2026-11-28T21:55:18Z","log":{"level":"error"},"message":"no"}'],
    ["Graylog", '{"version":"1.1","host":"web","short_message":"no","level":3}'],
    ["Dovecot", "Nov  8 21:45:29 imap(ann)<12><abc>: Error: cannot open the mailbox"],
    ["Go's panics", "panic: runtime error: invalid memory address or nil pointer dereference"],
    ["Go's runtime", "fatal error: all goroutines are asleep - deadlock!"],
  ])("%s", (_, line) => {
    expect(isFound(line)).toBe(true);
  });
});

describe("the preset errors leaves alone", () => {
  test.each([
    "INFO the last ERROR was 3 days ago",
    "2026-11-28 21:55:18 INFO retrying after error: timed out",
    "2026-11-28 21:55:18,123 - shop - WARNING - ERROR budget is at 80 %",
    "WARNING:root:ERROR:root: was seen",
    "0 errors, 3 warnings",
    "errors: 0",
    "error: none",
    "ERROR: 0",
    'time="2026-11-28T21:55:18Z" level=info msg="level=error is set"',
    'level=warn msg="cannot connect" error="timed out"',
    '{"level":"info","msg":"ERROR handler is set","errors":[]}',
    '{"level":30,"time":1795902918123,"msg":"error page is rendered"}',
    '{"err":{"level":"error"},"level":"info","msg":"recovered"}',
    '{"message":"\\"level\\":\\"error\\" is what we look for"}',
    '{"level":0,"logger":"controller","msg":"reconciled"}',
    '10.0.0.1 - - [28/Nov/2026:21:55:18 +0000] "GET /ERROR HTTP/1.1" 200 12 "-" "curl/8"',
    '10.0.0.1 - - [28/Nov/2026:21:55:18 +0000] "GET /a?level=error HTTP/1.1" 200 12',
    "2026/11/28 21:55:18 [warn] 17#17: conflicting server name",
    "I1128 21:55:18.123456   12 controller.go:12] error was handled",
    "I, [2026-11-28T21:55:18.123456 #12]  INFO -- : ERROR was handled",
    "<14>1 2026-11-28T21:55:18.003Z web app 123 ID47 - connected",
    "Nov  8 21:45:29 web app[123]: recovered from an ERROR",
    "Nov  8 21:45:29 web sshd[12]: error: kex_exchange_identification: Connection closed by remote host",
    "Starting the Error Reporting Service",
    "The ERROR log is at /var/log/app/error.log",
    "21:55:18 Starting ERROR handler",
    "error_log = /var/log/nginx/error.log",
    "ERROR_LEVEL=3",
    "Error-free since Monday",
    "critical section entered",
    "no error",
    "[error-pages] mounted",
    "info: Microsoft.Hosting.Lifetime[14]",
    "PHP Warning:  Undefined variable in /srv/a.php",
    "",
  ])("%s", (line) => {
    expect(isFound(line)).toBe(false);
  });
});
