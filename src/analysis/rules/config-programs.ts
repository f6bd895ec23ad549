import { rulesOf, words } from "./rule.ts";

const FIX =
  "Correct {setting|the setting} in {path|the configuration} of {source} as the line says; if it worked before, compare with the last change. Check the file with the program's own test, then {restart}.";

/** A setting that is invalid, unknown or missing, in the words of one program. */
export const CONFIG_PROGRAMS = rulesOf("config_error", FIX, [
  {
    id: "postgres-config",
    any: words(`
      configuration file " | contains errors | invalid value for parameter | could not load pg_hba.conf
      unrecognized configuration parameter | invalid line in | could not load /
    `),
    when: /contains errors|invalid value for parameter|pg_hba\.conf|unrecognized configuration/i,
    not: /no pg_hba\.conf entry/i,
    tier: "cause",
    cause: "PostgreSQL cannot use its configuration {path|file}.",
  },
  {
    id: "mysql-option",
    any: words(`
      unknown variable ' | unknown option '-- | unknown suffix ' | ambiguous option '
      found option without preceding group | error in config file | fatal error in defaults handling
      unknown storage engine | collation | unknown collation | unknown character set
    `),
    when: /unknown (?:variable|option|suffix)|ambiguous option|preceding group|defaults handling|(?:unknown|invalid).{0,20}(?:collation|character set)|error in config file/i,
    tier: "cause",
    cause: "The MySQL or MariaDB server does not know {setting|an option} in its configuration.",
  },
  {
    id: "java-configuration",
    any: words(`
      failed to bind properties under | failed to configure a datasource | could not resolve placeholder
      no active profile | no suitable driver | beandefinitionparsingexception | invalid bound statement
      unable to find main class | org.apache.kafka.common.config.configexception | missing required configuration
      settingsexception | unknown setting [ | could not create the java virtual machine | invalid maximum heap size
      initial heap size set to a larger value | unrecognized vm option | default discovery settings are unsuitable
    `),
    not: /invalid value: .{0,60}not enough memory/i,
    tier: "cause",
    cause: "The Java program {source} cannot use its settings: {setting|see the line}.",
  },
  {
    id: "docker-compose-invalid",
    any: words(`
      unsupported config option | additional property | is invalid because | services must be a mapping
      invalid compose | undefined service | refers to undefined | invalid reference format
      invalid volume specification | invalid mount config | unable to configure the docker daemon
      directives are specified both as a flag | conflicting options: | unknown log opt | invalid containerport
      invalid proto | must be a string
    `),
    when: /config option|additional propert|is invalid because|must be a mapping|undefined|invalid (?:compose|reference format|volume|mount config|containerport|proto)|configure the docker daemon|both as a flag|conflicting options|unknown log opt|must be a string/i,
    not: /source path does not exist|certificate|undefined (?:index|variable|method|symbol|reference|local)/i,
    tier: "cause",
    cause: "Docker cannot use the definition of {source} or its own configuration ({path|see the line}).",
    fix: "Correct the setting that the line names (`docker compose config` checks a compose file, `dockerd --validate` the daemon's), then {restart} ({source}).",
  },
  {
    id: "kubernetes-config",
    any: words(`
      createcontainerconfigerror | couldn't find key | secret " | configmap " | error validating data
      is invalid: spec | error: unable to recognize | strict decoding error | invalid image name | invalidimagename
      running with swap on is not supported | misconfiguration: kubelet cgroup driver | cgroup driver | no kind "
    `),
    when: /CreateContainerConfigError|couldn't find key|(?:secret|configmap) "[^"]{1,200}" not found|error validating|is invalid: spec|strict decoding|swap on is not supported|cgroup driver:? .{0,80}is different|misconfiguration|no kind "/i,
    tier: "cause",
    cause: "Kubernetes cannot start {source} as it is defined: a ConfigMap, Secret or field is missing or wrong.",
    fix: "See `kubectl describe pod {source}`; create what the line names or correct the reference to it, then apply again.",
  },
  {
    id: "proxy-config",
    any: words(`
      adapting config using caddyfile | loading initial config
      unable to parse global options | command traefik error | the static configuration | router uses a non-existent
      entrypoint " | field not found, node | error during config reload | is not a recognized | unrecognized directive
    `),
    when: /adapting config|loading initial config|traefik error|non-existent|doesn't exist|field not found|config reload|not a recognized/i,
    not: /host not found|listening on|address already|permission denied|certificate/i,
    tier: "cause",
    cause: "The proxy {source} cannot use its configuration {path|file}.",
  },
  {
    id: "postfix-dovecot-config",
    any: words(`
      fatal: bad | doveconf: fatal | postfix/postfix-script | bad boolean configuration | bad numerical configuration
      fatal: config | parameter inet_interfaces | bad parameter value | unsupported dictionary type
      error in configuration file | unused parameter | mail for | fatal: open database | loops back to myself
    `),
    when: /fatal: (?:bad|parameter|config|unsupported dictionary|no )|bad (?:boolean|numerical|parameter)|doveconf: fatal|error in configuration file|unsupported dictionary type|loops back to myself/i,
    not: /no such file/i,
    tier: "cause",
    cause: "The mail server {source} cannot use a setting: {setting|see the line}.",
    fix: "Check with `postfix check` or `doveconf -n`, correct the setting that the line names, then {restart} ({source}).",
  },
  {
    id: "logging-rules-config",
    any: words(`
      could not reload rules | error loading rules | loading groups failed
      couldn't load configuration (--config.file | error loading config from | field | undefined receiver
      datasource.yaml config is invalid | datasource provisioning error
    `),
    when: /loading groups failed|error loading|--config\.file|field \S{1,80} (?:not found in type|already set)|undefined receiver|provisioning error|config is invalid/i,
    not: /no such file|permission denied/i,
    tier: "cause",
    cause: "{source} cannot load its configuration {path|file}: {setting|see the line}.",
    fix: "Check it with the tool of the program (`promtool check config`, `amtool check-config`), correct what the line names, then {restart} ({source}).",
  },
  {
    id: "locale-timezone-config",
    any: words(`
      settings.databases is improperly configured | secret_key setting must not be empty | disallowedhost
      allowed_hosts | invalid http_host header | no application encryption key has been specified
      missing \`secret_key_base\` | missing secret_key_base | \`secret_key_base\` | app_key | datasource or dialect
      no database selected | dialect needs to be explicitly supplied | adapter not specified | is not configured for
      database is not configured | unsupported cipher or incorrect key length
    `),
    not: /\binfo\b(?!['"]:)/i,
    tier: "cause",
    cause: "The application {source} misses a setting that its framework needs: {setting|see the line}.",
  },
  {
    id: "cron-bad-line",
    any: words(`
      bad minute | bad hour | bad day-of-month | errors in crontab file | bad command in crontab
      wrong file owner (/etc/cron | error (syntax error | missing newline before eof
    `),
    tier: "cause",
    cause: "cron cannot use a line of {path|a crontab}.",
    fix: "Correct the line in {path|the crontab} (`crontab -l`, or the files in /etc/cron.d), then look at {source} again.",
  },
  {
    id: "broker-config",
    any: words(`
      failed to prepare configuration | error generating config | conffile attribute is invalid | schema file
      zookeeper.connect | node name is not valid | invalid node name | erlang cookie | advertised.listeners
      inconsistent cluster id | couldn't find local name | etcd: conflicting | error verifying flags
      multiple private ipv4 | multiple ipv4 addresses found | bind_addr | member has already been bootstrapped
      server.id
    `),
    when: /failed to prepare|generating config|is invalid|not valid|missing|invalid|required|mismatch|can'?t|couldn't|verifying flags|multiple|inconsistent|already been bootstrapped|must|cannot|requirement failed/i,
    not: /timed? ?out|refused|invalid challenge/i,
    tier: "likely",
    cause: "The cluster settings of {source} do not fit: {setting|see the line}.",
  },
  {
    id: "config-test-failed",
    any: words(`test failed | config test | configtest | exec format error in config`),
    when: /config(?:uration)?.{0,120}test failed|configtest.{0,30}failed/i,
    tier: "symptom",
    cause: "{source} refuses its configuration.",
  },
]);
