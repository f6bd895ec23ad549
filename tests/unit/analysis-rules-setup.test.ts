import { describe, expect, test } from "bun:test";
import type { Category } from "../../src/analysis/model.ts";
import { categoryOfLine, type RuleLines } from "../support/rule-lines.ts";

const LINES: Partial<Record<Category, RuleLines>> = {
  config_error: {
    must: [
      'nginx: [emerg] unknown directive "proxy_passs" in /etc/nginx/sites-enabled/default:12',
      "AH00526: Syntax error on line 7 of /etc/apache2/sites-enabled/site.conf:",
      "FATAL Bungled /etc/squid/squid.conf line 5: acl all",
      'LOG:  unrecognized configuration parameter "wal_keep_segment" in file "/etc/postgresql/14/main/postgresql.conf" line 9',
      "Options error: Unrecognized option or missing or extra parameter(s) in client.conf:12",
      "Error: environment variable API_URL must be set",
      "[ALERT] 033/100000 (99) : parsing [/etc/haproxy/haproxy.cfg:33] : unknown keyword 'bindd' in 'frontend' section",
      "Error: unknown flag: --enable-foo",
      "error: yaml: line 7: mapping values are not allowed in this context",
      "java.lang.IllegalArgumentException: Could not resolve placeholder 'db.url' in value",
      "listen tcp 10.9.9.9:80: bind: cannot assign requested address",
      "sudo: parse error in /etc/sudoers near line 20",
    ],
    mustNot: [
      "INFO configuration loaded",
      "nginx: configuration file /etc/nginx/nginx.conf test is successful",
      'ERROR:  syntax error at or near "SELEC" at character 1',
      "WARN the attribute `version` is obsolete, it will be ignored",
    ],
  },
  missing_file: {
    must: [
      "cat: /etc/app/secret: No such file or directory",
      "Error: Unable to access jarfile /opt/app/app.jar",
      "FileNotFoundError: [Errno 2] No such file or directory: 'model.bin'",
      "/entrypoint.sh: line 9: jq: command not found",
      "standard_init_linux.go:228: exec user process caused: no such file or directory",
      "open /etc/loki/config.yaml: no such file or directory",
      "app.service: Changing to the requested working directory failed: No such file or directory",
      'postgres: could not access directory "/var/lib/postgresql/data": No such file or directory',
      "Error: Cannot find module '/usr/src/app/dist/main.js'",
    ],
    mustNot: [
      "libpq.so.5: cannot open shared object file: No such file or directory",
      "connect() to unix:/run/php/php-fpm.sock failed (2: No such file or directory) while connecting to upstream",
      '"GET /favicon.ico HTTP/1.1" 404 file not found',
      "INFO cache directory not found, ignoring",
    ],
  },
  missing_dependency: {
    must: [
      "ModuleNotFoundError: No module named 'yaml'",
      "Error: Cannot find module 'lodash'",
      "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'dotenv' imported from /app/index.mjs",
      "java.lang.NoClassDefFoundError: org/slf4j/LoggerFactory",
      "error while loading shared libraries: libcurl.so.4: cannot open shared object file: No such file or directory",
      "Could not find gem 'rake' in any of the gem sources listed in your Gemfile.",
      "PHP Fatal error:  Uncaught Error: Call to undefined function mysqli_connect()",
      "Can't locate DBI.pm in @INC (you may need to install the DBI module)",
      "PDOException: could not find driver",
      "httpd: Syntax error on line 12: Cannot load modules/mod_php.so into server: cannot open shared object file",
    ],
    mustNot: [
      "INFO module loaded",
      "optional dependency not installed, skipping",
      "Cannot find module '/srv/app/server.js'",
    ],
  },
  version_mismatch: {
    must: [
      "FATAL:  database files are incompatible with server",
      "exec /app/run: exec format error",
      "java.lang.UnsupportedClassVersionError: Main : Unsupported major.minor version 52.0",
      "Error response from daemon: client version 1.44 is too new. Maximum supported API version is 1.41",
      "/bin/x: /lib/libc.so.6: version `GLIBC_2.32' not found (required by /bin/x)",
      "# Can't handle RDB format version 11",
      'Your Composer dependencies require a PHP version ">= 8.2.0". composer detected issues in your platform',
      'no matches for kind "Ingress" in version "extensions/v1beta1"',
      "NVRM: API mismatch; Failed to initialize NVML: Driver/library version mismatch",
      "Can't start: the data (28.0.1) is higher than the image version (27.1.5) and downgrading is not supported",
    ],
    mustNot: [
      "INFO version 1.2.3 started",
      "npm notice New minor version of npm available",
      "WARN option x is deprecated in this version",
    ],
  },
  image_pull: {
    must: [
      "Error response from daemon: manifest for nginx:1.99 not found: manifest unknown: manifest unknown",
      'Failed to pull image "acme/web:9": rpc error: code = NotFound desc = not found',
      "Error response from daemon: pull access denied for acme/web, repository does not exist or may require 'docker login'",
      "Error: ImagePullBackOff",
      "toomanyrequests: You have reached your pull rate limit.",
      "Error response from daemon: Get https://registry.example.com/v2/x/manifests/1: no basic auth credentials",
      "no matching manifest for linux/arm64/v8 in the manifest list entries",
    ],
    mustNot: [
      'Successfully pulled image "nginx:latest" in 3.2s',
      "Unable to find image 'redis:7' locally",
      'Failed to pull image "x/y:1": dial tcp: lookup registry.x on 10.0.0.2:53: no such host',
    ],
  },
  lock_conflict: {
    must: [
      'FATAL:  lock file "postmaster.pid" already exists',
      "E: Could not get lock /var/lib/dpkg/lock-frontend",
      "sqlite3.OperationalError: database is locked",
      "ERROR:  deadlock detected",
      "ERROR 1205 (HY000): Lock wait timeout exceeded; try restarting transaction",
      "failed to start daemon: pid file found, ensure docker is not running or delete /var/run/docker.pid",
      "telegram.error.Conflict: Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
      "Error: Error acquiring the state lock",
      "opening storage failed: lock DB directory: resource temporarily unavailable",
    ],
    mustNot: [
      "INFO: Lock owner: None; I am db-0",
      "package-lock.json is out of date",
      "account locked after 5 attempts",
      "PID file /run/app.pid not readable (yet?) after start: No such file or directory",
    ],
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
