import type { Evidence } from "./model.ts";

/** Programs and languages that a text may speak of, and by what the evidence shows that they are there. */
const PROGRAMS: readonly (readonly [name: RegExp, mark: RegExp])[] = [
  [/MySQL|MariaDB|mysqld/, /mysql|mariadb|innodb|\baria\b|galera|SQLSTATE|errcode/i],
  [
    /PostgreSQL|pg_hba|psql|pg_/,
    /postgres|\bpg[_ -]|psql|pgbouncer|pgpool|patroni|psycopg|libpq|\bPANIC: {1,2}|FATAL: {1,2}|\bERROR: {2}|LOG: {2}|role "|relation|base\//i,
  ],
  [/MongoDB|mongod/, /mongo|wiredtiger|\bwt_/i],
  [/Redis|redis/, /redis|valkey|sentinel|\brdb\b|append only|\bAOF\b|NOAUTH|WRONGPASS|MISCONF|dragonfly/i],
  [/Elasticsearch|_cat\//, /elastic|lucene|opensearch|kibana|logstash|\bes\b|shard|node lock|graylog|index/i],
  [/RabbitMQ|rabbitmqctl/, /rabbit|amqp|vhost|mnesia/i],
  [/Kafka|kafka-/, /kafka|zookeeper|broker|topic|sarama/i],
  [/etcd/, /etcd|mvcc|readindex/i],
  [
    /Kubernetes|kubectl|The cluster|The node/,
    /kube|k8s|k3s|\bpods?\b|nodes? (?:is|are|was)|deployment|configmap|secret "|cluster|namespace/i,
  ],
  [
    /Java |Java's|class path|-Xmx/,
    /java|\bjvm|\bjar\b|hotspot|kotlin|scala|jdbc|hs_err|bukkit|tomcat|\bGC\b|[a-z]Exception|metaspace/i,
  ],
  [
    /Node\.js|The Node program|JavaScript|package\.json/,
    /node|npm|yarn|pnpm|javascript|\.m?[jt]sx?\b|\bv8\b|bun\b|deno|err_|at .{1,80}:\d{1,6}:\d/i,
  ],
  [
    /Python|pip /,
    /python|\.py\b|traceback|\bpip\b|modulenotfound|importerror|gunicorn|uwsgi|django|celery|numpy|airflow|wsgi/i,
  ],
  [/Ruby|bundle install|Gemfile/, /ruby|\bgem\b|gems\b|bundler|rails|puma|sidekiq|\.rb\b|gemnotfound|unicorn/i],
  [/PHP|composer/, /php|composer|\.phar|laravel|symfony|PDO/i],
  [/\.NET/, /\.net\b|dotnet|System\.|aspnet|\.dll\b|Microsoft\./i],
  [/The Go program/, /goroutine|\.go:\d|panic:|runtime error|fatal error:|golang/i],
  [/The Rust program/, /rust|panicked|\.rs\b|cargo|thread '/i],
  [/Perl/, /perl|\.pm\b|@INC|\.pl\b/i],
  [/Apache|apachectl/, /apache|httpd|\bAH\d{5}/i],
  [/nginx/, /nginx|openresty|\[emerg\]|upstream/i],
  [/HAProxy|haproxy/, /haproxy|\[ALERT\]/i],
  [/sshd/, /sshd/i],
  [/The SSH or Git login|ssh -v/, /\bssh|\bgit|publickey|host key|sftp|scp\b|rsync/i],
  [/Git refuses/, /\bgit/i],
  [/Postfix|postfix|doveconf|The mail server/, /postfix|dovecot|smtp|mail|imap|\b5\d\d[ -]\d\.\d/i],
  [/SQLite|sqlite3/, /sqlite|database is locked|disk image|\.db\b|PRAGMA/i],
  [/\bcron\b|crontab/, /cron/i],
  [/gunicorn/, /gunicorn|wsgi/i],
  [/Erlang/, /erl|beam|rabbit|elixir|ejabberd|couchdb|emqx|\{error,/i],
  [/Docker|docker |container/, /docker|container|moby|overlay2|oci |runc|podman|compose|image/i],
  [/CoreDNS|Corefile/, /coredns|plugin\//i],
  [/SELinux|ausearch/, /selinux|avc:/i],
  [/AppArmor|aa-status/, /apparmor/i],
  [/prom(?:tool|etheus)|amtool/, /prometheus|alertmanager|thanos|loki|grafana|mimir|rules/i],
  [/SASL/, /sasl|kafka|login/i],
  [/MAC address|NVMe/, /nvme/i],
];

const WINDOW_CHARS = 4_000;

/** What stands near the line that decides, and what the incident is called. */
const nearbyOf = ({ source, message, logs, type }: Evidence, line: string): string => {
  const at = Math.max(0, logs.indexOf(line.slice(0, 300)));
  return `${type} ${source}\n${message}\n${line}\n${logs.slice(Math.max(0, at - WINDOW_CHARS / 2), at + WINDOW_CHARS / 2)}`;
};

/** Whether the evidence shows every program that a text speaks of; one of several, where it gives examples of several. */
export const isAboutEvidence = (text: string, evidence: Evidence, line: string): boolean => {
  const spoken = PROGRAMS.filter(([name]) => name.test(text));
  if (spoken.length === 0) return true;
  const nearby = nearbyOf(evidence, line);
  return spoken.some(([, mark]) => mark.test(nearby));
};
