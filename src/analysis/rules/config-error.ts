import { rulesOf, words } from "./rule.ts";

const FIX =
  "Correct {setting|the setting} in {path|the configuration} of {source} as the line says; if it worked before, compare with the last change. Check the file with the program's own test, then {restart}.";

/** A setting that is invalid, unknown or missing, as programs of all kinds say it. */
export const CONFIG_ERROR = rulesOf("config_error", FIX, [
  {
    id: "syntax-error-in-config",
    any: words(`
      syntax error | parse error | parsing error | error parsing | failed to parse | cannot parse | could not parse
      unable to parse | error while parsing | parsing file | failed parsing | unexpected token | malformed
    `),
    when: /config|\.(?:ya?ml|toml|ini|conf|cnf|json|cfg|properties|env|xml|hcl|service)\b|directive|setting|command.?line|\/etc\/|flag|environment|rule/i,
    not: /\/var\/(?:lib|cache|spool)\/|\bstate\b|sql|query|at character|check the manual|request|response body|no such file|permission denied|not found/i,
    tier: "cause",
    cause: "The configuration of {source} ({path|see the line}) cannot be read: its syntax is wrong.",
  },
  {
    id: "yaml-error",
    any: words(`
      yaml: | yaml.scanner | yaml.parser | yamlexception | scannererror | parsererror: while
      mapping values are not allowed | did not find expected | found character that cannot start any token
      error converting yaml | yaml: unmarshal
    `),
    when: /yaml: (?:line|unmarshal|did not|mapping|found|control|invalid|unknown)|yaml\.(?:scanner|parser)|YAMLException|ScannerError|ParserError|mapping values|did not find expected|cannot start any token|converting yaml/i,
    tier: "cause",
    cause: "A YAML file of {source} ({path|see the line}) is not valid.",
  },
  {
    id: "toml-json-error",
    any: words(`
      toml parse error | toml: | tomldecodeerror | invalid toml | json.decoder.jsondecodeerror | invalid character
      jsondecodeerror | json: cannot unmarshal | json: unknown field
    `),
    when: /toml|config|settings|\.json\b|daemon\.json|unknown field|unmarshal/i,
    not: /request|response|body|http|no such file|permission denied|not found/i,
    tier: "cause",
    cause: "A configuration file of {source} ({path|see the line}) is not valid.",
  },
  {
    id: "invalid-configuration",
    any: words(`
      invalid config | configuration error | config error | bad configuration | error in configuration
      invalid configuration | error loading config | error reading config | failed to load config
      failed to read config | configuration file contains errors | contains errors | configuration is invalid
      config is invalid | configuration file error | error in config | could not load config | configurationerror
      improperlyconfigured | illegal configuration | fatal errors found in configuration
      error(s) found in configuration | configuration validation failed | configexception
      couldn't load configuration | unable to load configuration | loading configuration failed | misconfigured
      misconfiguration | unable to load config | configuration test failed | configuration file test failed
      options error: | bungled | error in network definition | error found at | not loaded due to errors | expected one of | validation error for settings | validation errors for settings | missing port in address | first path segment in url | invalid dsn | invalid connection string | is not configured; either | key is not the correct length | line unrecognized | unknown configuration variable | --initialize specified but the data directory | doesn't match stored clusterid | cluster id mismatch | no networks found in /etc/cni | cni config uninitialized | cni plugin not initialized | must be a list | invalid environment variable | invalid url | environment variable not found
      no hostname setting provided | hostname is not configured
      failed during configuration | have not found any log file for | restore: line
    `),
    not: /no such file|permission denied|test is successful|connection refused|no space|response|request url|fetch|please correct these errors/i,
    tier: "symptom",
    cause: "{source} refuses its configuration: {setting|a setting in it} is not valid.",
  },
  {
    id: "unknown-directive",
    any: words(`
      unknown directive | unknown option | unknown variable | unknown key | unknown setting | unknown parameter
      unrecognized option | unrecognized configuration parameter | unrecognised option | unknown flag
      unrecognized arguments | unknown argument | unrecognized argument | invalid option | illegal option
      unknown shorthand flag | flag provided but not defined | unknown configuration | unrecognized field
      unknown command line | unknown keyword | bad configuration option | unsupported option | unrecognized directive
      unrecognized vm option | unrecognized setting | unknown field | unknown attribute | unknown command
      no such option | unexpected option | unknown subdirective | unrecognized command | unexpected argument
      unsupported configuration | invalid arguments: unknown | unrecognized parameter
    `),
    not: /unknown command '?[A-Z]{3,10}'?, with args|module "?unix_chkpwd/i,
    when: /unknown|unrecogni[sz]ed|invalid option|illegal option|not defined|bad configuration|no such option|unexpected|unsupported/i,
    tier: "cause",
    cause: "{source} does not know {setting|an option} that stands in its configuration or on its command line.",
  },
  {
    id: "directive-not-allowed",
    any: words(`
      directive is not allowed here | not allowed here | directive is duplicate | is not terminated by
      unexpected end of file, expecting | invalid number of arguments in | unexpected "}" | unexpected ";"
      wrong number of arguments | no "ssl_certificate" is defined | invalid parameter | invalid value "
      conflicting parameter | duplicate upstream | duplicate default server | duplicate location
      a duplicate default server | no events section | zero size shared memory zone | conflicting server name
      unknown " | upstream directive | no servers are inside upstream
    `),
    when: /nginx|emerg|directive|\.conf|argument|parameter|invalid value/i,
    not: /\bwarn\b|ArgumentError/i,
    tier: "cause",
    cause: "A directive in {path|the configuration of {source}} is not valid where it stands.",
    fix: "Correct {path|the configuration} of {source} at the place that the line names; `nginx -t` tests an nginx configuration. Then {restart}.",
  },
  {
    id: "apache-invalid-command",
    any: words(`
      invalid command ' | perhaps misspelled or defined by a module not included | syntax error on line | ah00526
      multiprocessing module | no mpm loaded | ah00534 | ah00111: config variable
    `),
    when: /invalid command|syntax error on line|AH00526|AH00534|mpm loaded|config variable .{1,80} is not defined/i,
    tier: "cause",
    cause: "Apache cannot use its configuration {path|file}: a directive is unknown or wrong.",
    fix: "Check with `apachectl configtest`, correct {path|the file} that it names or enable the module that knows the directive, then {restart} ({source}).",
  },
  {
    id: "haproxy-alert",
    any: words(`[alert]`),
    when: /parsing \[|error\(s\) found|fatal errors|unknown keyword|unable to find required|no such/i,
    tier: "cause",
    cause: "HAProxy cannot use its configuration {path|file}.",
    fix: "Check with `haproxy -c -f {path|/etc/haproxy/haproxy.cfg}`, correct the line that it names, then {restart} ({source}).",
  },
  {
    id: "redis-config",
    any: words(`fatal config file error | bad directive or wrong number of arguments | wrong number of arguments`),
    when: /fatal config|bad directive|^\s{0,4}(?:\S{1,40} )?wrong number of arguments/i,
    tier: "cause",
    cause: "Redis stops because a line of its configuration is wrong.",
  },
  {
    id: "sshd-config",
    any: words(`sshd_config | sshd_config.d | ssh_config`),
    when: /line \d{1,6}: |bad configuration options|terminating, \d{1,4} bad/i,
    not: /deprecated option/i,
    tier: "cause",
    cause: "sshd cannot use {path|its configuration}: a line in it is wrong.",
    fix: "Check with `sshd -t`, correct {path|the file} at that line, then {restart}. Keep a session to {source}'s host open meanwhile.",
  },
  {
    id: "systemd-unit-invalid",
    any: words(`
      bad unit file setting | unit has a bad setting | has a bad unit file | lacks both execstart= | has no execstart=
      neither a valid executable name nor an absolute path | executable path is not absolute | unbalanced quoting
      refusing. | invalid section header | missing '=' | has more than one execstart | bad-setting
      failed at step user | failed at step group | status=217/user | status=216/group
      failed to determine user credentials | failed to determine group credentials
    `),
    when: /bad.{0,20}setting|bad unit file|lacks both|has no ExecStart|neither a valid|not absolute|unbalanced|refusing\.|section header|missing '='|more than one ExecStart|step (?:USER|GROUP).{0,120}no such process|217\/USER|216\/GROUP|determine (?:user|group) credentials/i,
    not: /not permitted/i,
    tier: "cause",
    cause: "The unit of {source} has a setting that systemd cannot use.",
    fix: "Look at the unit with `systemctl cat {source}` and `systemd-analyze verify`, correct the setting (`systemctl edit --full`), run `systemctl daemon-reload`, then {restart}.",
  },
  {
    id: "missing-environment",
    any: words(`
      environment variable | env var | required variable | must be set | is not set | not set | must specify
      must be specified | must be provided | must be defined | is required but | undefined array key | keyerror: '
      missing required | is not specified | not specified and | required option | required setting
      required parameter | required key | required field | missing option | is required | not provided
      can't be blank
    `),
    when: /(?:environment|env)\b.{0,60}variable.{0,120}(?:must be|not set|is required|missing|not found|not defined|undefined|isn't set|unset|empty|not provided)|(?:missing|required|expected|needs?).{0,30}(?:environment|env) var|\b(?<setting>[A-Z][A-Z0-9]{1,30}_[A-Z0-9_]{1,40})\b.{0,60}(?:must be|not set|is required|is missing|not specified|not provided|not defined|undefined)|(?:must (?:be set|specify|be specified|be provided|be defined))|keyerror: '[A-Z][A-Z0-9_]{2,40}'|missing required (?:option|setting|config|param|argument|flag|field|key|value|property|env|variable|secret)|required (?:option|setting|parameter|flag|key|field|variable)|config.{0,60}(?:is required|not set)/i,
    not: /_JAVA_OPTIONS|DISPLAY|not set; using|defaulting|variable is not set\. default|using default|locale|http 4\d\d|bad request|server name|perl: warning|TERM environment|debconf/i,
    tier: "likely",
    cause: "{source} misses a setting that it needs: {setting|see the line}.",
    fix: "Set {setting|what the line names} for {source} (its environment file, unit or compose file; {show} shows what it gets), then {restart}.",
  },
  {
    id: "missing-environment-database",
    any: words(`
      database is uninitialized and superuser password is not specified
      database is uninitialized and password option is not specified | you need to specify one of the following
      mariadb_root_password
    `),
    when: /uninitialized and|you need to specify one of/i,
    tier: "root",
    cause: "The database image needs a password for its first start, and none is set.",
    fix: "Set the password variable that the line names (for instance POSTGRES_PASSWORD or MYSQL_ROOT_PASSWORD) for {source}, then {restart}.",
  },
  {
    id: "invalid-value",
    any: words(`
      invalid value | invalid boolean | invalid integer | is not a valid value | illegal value | bad value
      invalid time value | wrong value | invalid argument value | outside the valid range | must be one of
      invalid port | is not a valid | not a valid | invalid setting | invalid parameter | invalid line
      bad number of arguments | missing argument | invalid specification | wrong type | must be between
      illegal argument | illegalargumentexception | requires an argument | option requires | invalid address
      unsupported value | not valid for | invalid format | expected a value | invalid flag | out of range
    `),
    when: /config|setting|option|parameter|directive|line \d|variable|flag|\/etc\/|environ|must be one of|invalid port|\.(?:ya?ml|toml|ini|conf|cnf|cfg|env|properties)\b|property|argument "|value for|for key/i,
    not: /request|sqlstate|column|json response|index out of range|slice bounds|invalid argument\)|jdbc:|invalid boolean operator|ioctl/i,
    tier: "likely",
    cause: "{source} was given a value that it cannot use: {setting|see the line}.",
  },
  {
    id: "bind-address-not-here",
    any: words(`cannot assign requested address | can't assign requested address | eaddrnotavail | (99:`),
    when: /bind|listen/i,
    tier: "cause",
    cause: "{source} is told to listen on an address ({host|see the line}) that this host does not have.",
    fix: "Compare the address in the configuration of {source} with those of the host (`ip addr`); correct it, or let {source} start when the network is up. Then {restart}.",
  },
  {
    id: "line-of-a-configuration-file",
    any: words(`/etc/ | .conf: | .conf: line | .cfg: | .ini: | .conf, line`),
    when: /[\w./-]{1,120}(?:\.conf|\.cfg|\.ini|\.ya?ml|\.cnf|_config|\/[\w-]{1,40})(?:[:,]? (?:at )?line |:)\d{1,6}\b.{0,200}(?:invalid|error|unknown|syntax|bad|unexpected|missing|illegal|wrong|duplicate)/i,
    not: /no such file|permission denied|certificate|address|refused|\.(?:js|py|rb|php|go|java|sh|pl):|resolve|not found/i,
    tier: "symptom",
    cause: "A line of {path|the configuration} is not valid for {source}.",
  },
]);
