import { rulesOf, words } from "../rules/rule.ts";

const FIX =
  "Correct {setting|what the line names} in {file|the configuration} of {source}; if it worked before, compare with the last change. Check the file with the program's own test if it has one, then {restart}.";
const MISSING_FIX =
  "Set {setting|what the line names} for {source} (its configuration file, environment file, unit or compose file; {show} shows what it gets), then {restart}.";

/** Names that a setting goes by in one program or another. */
const THING =
  "(?:option|key(?! exchange| type| algorithm| id| length| size)|directive|keyword|setting|param(?:eter)?|argument|section|stanza|property|attribute|flag|switch|clause|identifier|variable|command|field|entry|value|line|rule|zone|acl|sub-?command|expression|definition|declaration|specification|mode|log ?level|facility|format|scheme|url|uri|dsn|cron\\w{0,6}|schedule|address|subnet|netmask|interface name|host ?name|unit|duration|size|number|integer|boolean|port|cidr|plugin name|driver name|backend name|interval|period|threshold|priority|strategy|adapter|engine|store|transport|algorithm|charset|encoding|time ?zone|locale|region|profile|environment|target|policy|role name|listener|endpoint)";
const WRONG =
  "(?:bad|invalid|illegal|unknown|unrecogni[sz]ed|unsupported|malformed|duplicated?|undefined|unexpected|ambiguous|wrong|incorrect|misspelled|obsolete|missing|empty|improper|bogus|garbled|nonexistent|non-existent|unparsable|unparseable|conflicting|incomplete)";
/** A file that holds settings, by its name. */
const FILE =
  "[\\w./@+~-]{0,200}(?:\\.(?:conf|cfg|cnf|ini|ya?ml|toml|json5?|xml|properties|hcl|tf|cf|rules|nix|lua|vcl|mc|service|timer|socket|mount|network|netdev|link|cue|kdl|ron|env|list|map|zone|db|acl)|rc|_config|[./]conf(?:ig)?|file|crontab|sudoers|fstab|exports|hosts\\.(?:allow|deny)|/etc/[\\w./-]{1,120})";

/** Settings found wrong, in the words of programs that nobody has met: what is wrong, what it is called, and where it stands. */
export const SETTINGS = rulesOf("config_error", FIX, [
  {
    id: "place-in-a-file",
    any: words(`
      line | .conf: | .conf( | .cfg: | .ini: | .yaml: | .yml: | .toml: | .json: | .xml: | .rules: | .cf: | rc: | .properties: | .config: | .hcl: | .conf[ | .cfg[
      .tf: | .lua: | .vcl: | .network: | .env: | caddyfile: | corefile: | sudoers: | .cnf: | .list: | error | unknown | invalid | syntax | unexpected | expected | near ' | bad 
    `),
    when: new RegExp(
      `(?<file>${FILE})["'\`)\\]]{0,2}(?:[:([]|[,:]? ?(?:at |on |in |near )?(?:line|row|ln\\.?)[ :#=]{1,2})(?<number>\\d{1,6})\\b|(?:\\bline|\\bat line|\\bon line)[ :#=]{1,2}\\d{1,6}\\b[^/]{0,40} ?["'\`(\\[]{0,1}(?<other>${FILE})`,
      "i",
    ),
    with: /error|invalid|illegal|unknown|unrecogni[sz]ed|unsupported|malformed|duplicate|\bline \d{1,6} pos|undefined|unexpected|ambiguous|wrong|incorrect|missing|syntax|\bbad\b|\bnot (?:a |an )?(?:valid|allowed|defined|supported|recogni[sz]ed|known|found|permitted|understood)|cannot (?:parse|be parsed|understand)|expected|expecting|\bfail|\bfatal|\bmust\b|\brequires?\b|unable|refus|does ?n[o']t|undeclared|unterminated|unclosed|mismatch|conflict|out of range|too (?:long|large|many|few|small)|no such|fehler|erreur|parse|garbage/i,
    not: /makefile|\bmake(?:\[\d\])?: |dockerfile:\d|traceback|\bstack\b|at [\w$.]{1,100}\(|File "|\.(?:js|mjs|cjs|ts|py|rb|php|java|kt|scala|rs|cc?|cpp|hh?|hpp|go|erl|ex|exs|pl|pm|cs|lua):\d|No such file|permission denied|already in use|address in use|connection refused|could not resolve|host not found|certificate|password|checksum|corrupt|in \/[\w./-]{1,200}\.php|\bwarn(?:ing)?\b.{0,60}(?:deprecat|obsolete|ignor)|cannot include|cannot open|assert/i,
    tier: "cause",
    cause: "{source} refuses a line in {file|{other|{path|its configuration}}}: {said|it is not valid}.",
  },
  {
    id: "errors-in-a-file",
    any: words(`
      error in | errors in | errors found | error found | problem in | problems in | errors were found | problems found | error(s) | errors: | mistakes in | errors while parsing | errors occurred while
      errors detected | error detected | error reading config | issues found in | validation error | validation failed | configuration check | config check | sanity check | syntax check
    `),
    when: /\b\d{1,5} (?:\w{1,12} )?(?:error|problem|issue|mistake)s?(?:\(s\))? (?:\w{1,10} )?(?:in|while|reading|parsing)\b.{0,80}(?:config|settings|options|\/etc\/|\.(?:conf|cfg|ini|ya?ml|toml|xml|json)\b|rules|file)|\b(?:error|problem|mistake|fault|issue)s?(?:\(s\))? (?:(?:was|were) )?(?:found |detected )?(?:in|with|parsing|reading|processing|loading|at) (?:the |your |its )?(?:config\w{0,10}|settings|options|preferences|rule ?s(?:et)?)(?! server)|(?:config\w{0,10}|settings|schema|syntax|rules?) (?:file )?(?:check|validation|test|sanity check) (?:has )?(?:failed|error|found)|validation (?:error|failed).{0,60}(?:config|setting|option|schema)|(?:config\w{0,10}|settings).{0,60}(?:validation|did not validate|not conform)/i,
    not: /no such file|permission denied|connection refused|\b0 errors|no errors|does not exist|not found/i,
    tier: "symptom",
    cause: "{source} found errors in its configuration {path|}; the lines before this one say which.",
  },
  {
    id: "unknown-or-bad-setting",
    any: words(`
      bad | invalid | illegal | unknown | unrecognized | unrecognised | unsupported | malformed | duplicate | undefined | unexpected | ambiguous | wrong | incorrect | misspelled | missing | improper | bogus | nonexistent | conflicting | incomplete | is not valid | are not valid
    `),
    when: new RegExp(
      `\\b${WRONG} (?:[\\w-]{1,20} )?(?:[\\w-]{1,20} )?${THING}s?\\b(?! (?:name or|error|for user))|\\b${THING}s? (?:["'\`<\\[(]?[\\w./:@%$*-]{1,80}["'\`>\\])]?,? )?(?:is|was|are|has) (?:(?:an? )?(?:not )?${WRONG}|not valid)\\b`,
      "i",
    ),
    with: /config|setting|option|directive|param|\.(?:conf|cfg|cnf|ini|ya?ml|toml|json|xml|properties|hcl)\b|\/etc\/|keyword|section|stanza|flag|argument|statement|attribute|variable|--\w|command.?line|usage|environment|schedule|cron|interval|log ?level|\bline \d|fatal|emerg|error|(?<![\w-])-\w{3,30}=|url|dsn|listen|definition|directive|key ["'`]|\bin file\b|rule|expression/i,
    not: /invalid argument(?:$|[.,);\]])|request|response|header|cookie|packet|frame|token|password|credential|certificate|\bkey exchange|user(?:name)? or|\bsql|\bquery\b|column|\btable|relation|json response|client \d|client:|from client|host key|magic|checksum|crc|signature|version|no such host|lookup|address family|file descriptor|memory|jwt|bearer|unknown host|unknown user|unknown database|unknown error|unexpected eof|end of file|end of json|module|library|class|symbol|image|manifest|instruction|opcode|operand|index out|pointer|unknown (?:ca|issuer|authority)|protocol|session|login|\bmessage\b|partition|block|\bpage|record|superblock|entry point|deprecat|inode|segment|device|duplicate key|state|character at|primary|undefined value at|\.p[lm] line/i,
    tier: "likely",
    cause: "{source} was given a setting that it does not know or cannot use: {said|see the line}.",
  },
  {
    id: "setting-not-given",
    any: words(`
      not been defined | not defined | is not configured | not configured | is not set | not set | must be set | must be configured | must be specified | must be given | must be defined | must be provided | must specify
      must have | is mandatory | is required | are required | required but | is missing | no value for | not specified | was not specified | has no value | is empty | cannot be empty | must not be empty | may not be empty | cannot be blank
      missing required | missing mandatory | required parameter | mandatory | isn't set | isn't configured | has not been set | have not been set | has not been configured | not been configured | need to set | needs to be set | must set | please set | please specify | please configure | please define
      please provide | you must | not provided | not given | no default | unset | undefined variable | unbound variable | parameter not set | parameter null or not set | requires a value | requires an argument | needs an argument | needs a value | expects a value | without a value | missing argument | missing value | missing operand | no listeners | no listen
      no server | no backend | no upstream | no database | no api | no token | no interface | no password | no secret | no url | no host | no config | no zone | no domain | no hostname | no such setting | no network | no subnet | nothing to do | no jobs | no targets | no inputs | no outputs | no sources | no route | no valid | at least one | no subnet | not configured to | no declaration | no definition | missing | required | must | needs | lacks a | has no | undefined | no endpoints | configured
    `),
    when: /\b(?:has|have) not been (?:defined|set|configured|specified|given)\b|\b(?:is|are|was|were) not (?:defined|configured|set|specified|given)\b|\b(?:is|are) (?:a )?(?:mandatory|required|missing|unset|empty|undefined|null)\b|\bmust (?:also )?be (?:set|configured|specified|given|defined|provided|supplied|present|non-?empty|an? |one of|at least|in the range|between|greater|less|positive|absolute|unique)|\bmust (?:specify|set|define|configure|provide|have|contain|include an?|start with|end with|not be (?:empty|blank|null))\b|\b(?:cannot|can't|may not|must not) be (?:empty|blank|null|undefined|used together|combined|set together|negative|zero)\b|\bneeds? to be (?:set|configured|specified|defined)\b|\b(?:please|you (?:must|need to|have to)) (?:set|specify|configure|define|provide|supply)\b|\bmissing (?:required|mandatory|value|argument|operand|setting|option|parameter|key|field|configuration)\b|\b(?:required|mandatory) (?:parameter|setting|option|argument|field|key|variable|property|attribute)|\bunbound variable\b|parameter (?:null or )?not set|\b(?:requires|needs|expects|takes) (?:a|an|one|exactly \d) (?:value|argument|parameter)|\bno (?:\w{1,20} )?(?:\w{1,20} )?(?:is |was |has been |have been |were )?(?:configured|specified|defined|given|provided|set|supplied)\b|\bnot (?:specified|configured|defined|given|set) (?:in|for|under) |\bno (?:\w{1,20} )?(?:\w{1,20} )?(?:\w{1,20} )?(?:declarations?|definitions?) (?:for|found|in|of)|\bnot configured to\b|["'`][\w.-]{1,40}["'`] (?:is )?not (?:defined|declared)\b|\bno (?:value|listeners?|interfaces?|upstreams?|backends?|targets?|zones?|jobs?|inputs?|outputs?|sources?|hostname|domain|api key|server_name) (?:given|for|is|are|was|found|configured|specified|set|defined|in)|\bnot provided\b|\b(?:section|block|stanza|table|entry) .{1,60} (?:lacks|has no) |\bat least one .{1,60}(?:must|required|needs)|\bdefine (?:the )?(?:env)/i,
    with: /config|setting|option|directive|param|\.(?:conf|cfg|cnf|ini|ya?ml|toml|json|xml|properties|hcl|env)\b|\/etc\/|section|flag|argument|attribute|variable|--\w|command.?line|usage|environ|[A-Z][A-Z0-9]{1,30}_[A-Z0-9_]{2,60}|fatal|error|hostname|passphrase|password|secret|declaration|definition|\bkey\b|\burl\b|listen|interface|domain|zone|backend|upstream|["'`][\w.-]{2,60}["'`]|must be|mandatory|defined|configured|abort|exit/i,
    not: /exception|cannot invoke|request|response|\bheader\b|cookie|packet|sql|\bquery\b|column|relation|http 4\d\d|debconf|locale|TERM environment|JAVA_OPTIONS|is not defined in|referenceerror|\bat .{1,80}\(|\bis not defined$|update|upgrade|version|permission|privilege|(?<![-\w])root\b|authenticat|capabilit|driver|module|library|package|plugin|extension|is not set, |not set; |will be|using default|defaulting|warn/i,
    tier: "likely",
    cause: "{source} misses a setting that it needs: {said|see the line}.",
    fix: MISSING_FIX,
  },
  {
    id: "configuration-refused",
    any: words(`
      config | configuration | settings | options | preferences | usage: | command line | .conf | .yaml | .yml | .toml | .ini | .cfg | .json | .xml | .properties
    `),
    when: /\b(?:failed|unable|cannot|could not|couldn't|can't|error|problem|fatal)\b.{0,40}\b(?:pars(?:e|ing)|read(?:ing)?|load(?:ing)?|process(?:ing)?|apply(?:ing)?|interpret|decod(?:e|ing)|validat(?:e|ing)|compil(?:e|ing)|evaluat(?:e|ing)|unmarshal\w{0,5}|understand)\b.{0,60}(?:config\w{0,10}|settings|options|preferences|\.(?:conf|cfg|ini|ya?ml|toml|xml|properties|hcl|rules)\b|command.?line|environment|schema)|\b(?:config\w{0,10}|settings|options) (?:file )?(?:["'`]?[\w./-]{1,120}["'`]? )?(?:is|are|was|were|has|have|contains?) (?:\w{1,12} )?(?:invalid|wrong|broken|malformed|incorrect|incomplete|inconsistent|not valid|unusable|errors?|mistakes?|rejected|syntax)|\b(?:invalid|bad|broken|wrong|malformed|incorrect|illegal) (?:\w{1,16} )?config\w{0,10}\b|\bconfig\w{0,10} (?:\w{1,12} )?(?:error|failure|problem|rejected|invalid)\b|\bmisconfigur|(?:config|settings).{0,30}: (?:syntax|parse|validation) error/i,
    not: /no such file|permission denied|not found|does not exist|connection refused|refused|timed? ?out|unreachable|certificate|x509|unauthorized|forbidden|no space|response|\bfrom (?:server|remote|etcd|consul|\bapi|https?)|server returned|address already|checksum|corrupt|module|plugin|version|using default|default config|no config file specified|decrypt|end of json|end of file/i,
    tier: "symptom",
    cause: "{source} cannot use its configuration {path|}: {said|the content is not valid}.",
  },
  {
    id: "settings-conflict",
    any: words(`
      mutually exclusive | cannot be used together | can't be used together | cannot be combined | conflicts with | incompatible options | conflicting options | cannot both be | only one of | either | must not be used | overlaps with | already defined | previously defined | redefined | is a duplicate | defined twice | defined more than once | specified twice | specified more than once | duplicate entry for | duplicate definition
    `),
    when: /mutually exclusive|(?:cannot|can't|must not|may not) (?:both )?be (?:used|set|specified|combined|given|enabled|defined) ?(?:together|with|at the same time|both|in combination)?|\b(?:option|setting|flag|parameter|directive|argument)s?\b.{0,80}(?:conflicts? with|incompatible)|(?:incompatible|conflicting) (?:options|settings|flags|parameters|arguments)|only one of .{1,80}(?:may|can|must|should)|either .{1,60} or .{1,60} (?:must|is required|has to)|\b(?:option|setting|directive|section|zone|interface|backend|server|listener|job|rule|name|host|user|group)\b.{0,60}(?:already (?:defined|declared|exists|set|used|configured)|previously|redefined|defined twice|more than once|is a duplicate)/i,
    not: /address already|\bport|process|instance|running|lock|database|\btable|relation|\bkey\b|exists in|package|version|username or/i,
    tier: "likely",
    cause: "Settings of {source} contradict each other: {said|see the line}.",
  },
  {
    id: "wrong-command-line",
    any: words(`
      usage: | try '--help | try \` | --help' for more | for usage | unrecognized option | unknown option | invalid option -- | illegal option -- | unrecognized arguments | unexpected argument | unknown flag | no such option | flag provided but not defined | unknown shorthand | invalid choice | the following arguments are required
      found argument | wasn't expected | unknown switch | bad option | unknown argument | invalid argument -- | unknown long option | option requires an argument | too many arguments | too few arguments | missing operand | got unexpected extra argument
    `),
    when: /^.{0,120}(?:unrecogni[sz]ed|unknown|invalid|illegal|bad|unexpected|unsupported|no such) (?:\w{1,12} )?(?:option|flag|switch|arguments?|choice|sub-?command|command)\b|try ['"`].{1,60}--?h(?:elp)?['"`]|--help['"`]? for (?:more|usage)|flag provided but not defined|unknown shorthand|following arguments are required|wasn't expected|option requires an argument|too (?:many|few) arguments|missing operand|unexpected extra argument/i,
    not: /keyword argument|invalid argument(?:$|[.,);\]:])|request|http|packet|message|opcode|ioctl|\bwarn/i,
    tier: "cause",
    cause: "{source} is called with an option or argument that it does not know: {said|see the line}.",
    fix: "Compare the command of {source} ({show}) with what this version of the program takes (`--help`), correct it, then {restart}.",
  },
  {
    id: "value-out-of-range",
    any: words(`
      out of range | is out of range | must be between | must be greater | must be less | must be at least | must be at most | must be positive | must be a | must be an | must be one of | must be in | not in range | is not a number | not a number | is not an integer | not a valid | is not a valid | isn't a valid | not valid | cannot parse | could not parse | couldn't parse | can't parse | unable to parse | failed to parse | expected one of | expected a | expecting | is too small | is too large | is too low | is too high | exceeds the maximum | illegal value | unparsable | not an absolute path | not a directory name | not a known | no such zone | no such interface | template: | does not look like | not in the list | is not one of | not among | invalid syntax | parsing | determine | find | assigned to | differs | in address | after host | value | expected | convert | must be | under section
    `),
    when: /\b(?:setting|option|parameter|value|directive|argument|variable|property|attribute|field|interval|duration|port|size|level|address|url|path|number|timeout|expression|regex\w{0,8}|pattern|schedule|\w{2,30}_\w{2,40}|--[\w-]{2,40})\b.{0,100}(?:out of range|must be (?:between|greater|less|at least|at most|positive|an? |one of|in )|not in range|is not (?:a|an) (?:valid |known )?\w|isn't a valid|is too (?:small|large|low|high)|exceeds the maximum|not an absolute path|does not look like|expect(?:ed|ing) |is not (?:in the list|one of|among)|invalid syntax)|(?:cannot|could not|couldn't|unable to|failed to) parse (?:the )?(?:\w[\w-]{1,20} )?(?:\w[\w-]{1,20} )?[\w-]{2,20}: |\bexpected (?:a |an )?(?:string|number|integer|boolean|bool|object|list|map|mapping|duration|float|int)\b,? (?:but )?(?:got|found|received)|(?:unable|failed|cannot|could not) (?:to )?(?:determine|convert|interpret|understand) .{0,60}(?:value|setting|option)|template: .{1,80}function|(?:cannot|could not|can't) find .{1,60} in [\w./-]{1,100}\.(?:ya?ml|conf|cfg|ini|toml|json)\b|is not assigned to any interface|configuration differs|resolve (?:configuration )?placeholder|\(config file |(?:too many colons|missing port) in address|invalid port .{1,40}after host|\b\w[\w.-]{1,40}(?: \w{1,20})? must be (?:zero|fully|integer|string|boolean|numeric|a |an |in |between|unique|absolute|non-|at |of |either|greater|less|positive|one|the same|different|\d|true|false|enabled|disabled|defined|empty|lower|upper|shorter|longer)|(?:cannot|can't|could not) find .{1,60} (?:under|in) section|(?:cannot|could not|couldn't|can't|unable to|failed to|error) pars(?:e|ing) .{0,60}(?:value|setting|option|parameter|duration|interval|address|url|port|schedule|cron|expression|flag|argument|variable|number|integer|boolean|["'`][^"'`]{1,60}["'`] as)|\bis not a valid (?:value|setting|option|port|url|address|path|duration|time|size|number|integer|boolean|log ?level|identifier|host ?name|cron|ip|mode|choice)/i,
    not: /request|response|packet|sql|column|json response|index out of range|slice bounds|array|list index|string index|subscript|blob|jpeg|png|date|timestamp|token|certificate|partition|offset|image|signature|archive|gzip|zip|database file|block|not a valid (?:elf|win32|zip|gzip|archive|json response|data directory|identifier at)|assert|panicked|server version|client version|instruction|\bjdbc:|in this scope/i,
    tier: "likely",
    cause: "{source} was given a value that it cannot use: {said|see the line}.",
  },
  {
    id: "language-of-settings",
    any: words(`
      yaml: | toml: | tomldecodeerror | yamlexception | yaml.scanner | yaml.parser | xml parse | xml syntax | not well-formed | sax parse | saxparseexception | jsonexception | json parse error | json syntax | invalid json | invalid yaml | invalid toml | invalid xml | parse error on line | parse error at line | syntax error at line | syntax error on line | syntax error near | syntax error in | syntax error, | unterminated | unclosed | unbalanced | unmatched | missing closing | missing semicolon | missing brace | expected '}' | expected ';' | unexpected '}' | unexpected end of | unexpected character | unexpected token | hcl | could not decode | configobjerror | configparser | missingsectionheadererror | nosectionerror | nooptionerror | interpolation | libconfig | tabs are not allowed | found character | mapping values | did not find expected | block mapping
    `),
    when: /yaml: (?:line|unmarshal|did not|mapping|found|control|invalid|unknown)|yaml\.(?:scanner|parser)|YAMLException|TOMLDecodeError|toml: |configparser\.|MissingSectionHeader|NoSectionError|NoOptionError|ConfigObjError|SAXParse|not well-formed|(?:invalid|malformed) (?:yaml|toml|xml|json) (?:in|file|config)|(?:xml|yaml|toml|json|hcl|config|conf|ini|settings)\b.{0,60}(?:parse|syntax|parser) error|(?:parse|syntax|parser|parsing) error.{0,80}(?:\.(?:conf|cfg|ini|ya?ml|toml|xml|json|hcl|rules|cf|rc)\b|config|\/etc\/|line \d)|missing closing|(?:unterminated|unclosed|unbalanced|unmatched) (?:string|quote|quotation|brace|bracket|block|section|tag|parenthes)|missing (?:semicolon|brace|bracket|quote)|expected ['"`][;{}]|unexpected ['"`][;{}]|mapping values are|did not find expected|tabs are not allowed|cannot start any token/i,
    not: /sql|query|at character|\.(?:py|js|mjs|ts|rb|php|pl|sh):|SyntaxError|bash: |\bsh: |response|request|body|near "(?:select|from|where)|from server|\bapi|while reading|end of json/i,
    tier: "cause",
    cause: "The configuration of {source} ({path|see the line}) cannot be read: its syntax is wrong.",
  },
  {
    id: "database-not-there",
    any: words(`unknown database | database | unknown catalog`),
    when: /unknown database ['"`]|\bdatabase ["'`][\w.-]{1,64}["'`] does not exist|cannot open database "[^"]{1,64}" requested by the login/i,
    tier: "likely",
    cause: "The database that {source} is told to use does not exist on its server: {said|see the line}.",
    fix: "Compare the name in the settings of {source} ({show}) with the databases that the server has; create the database or correct the name, then {restart}.",
  },
  {
    id: "unit-masked",
    any: words(`is masked`),
    when: /\bunit .{0,120}is masked/i,
    tier: "cause",
    cause: "A unit that {source} needs is masked: somebody has switched it off.",
    fix: "See which one with `systemctl list-unit-files --state=masked` and why; if it is wanted, `systemctl unmask` it, then {restart} ({source}).",
  },
  {
    id: "exit-78-config",
    any: words(`78/config | status 78 | exit code 78 | code 78`),
    when: /78\/CONFIG|(?:status|exit code|code) 78\b/i,
    exitCodes: [78],
    tier: "symptom",
    cause:
      "{source} ended with 78, by which programs say that their configuration is wrong; the lines before may say where.",
  },
]);
