import { rulesOf, words } from "../rules/rule.ts";

const FILE_FIX =
  "Check whether {path|the file} exists for the user of {source} (`ls -l`), inside the container for a container. Restore it, create it, mount it or correct the path in the configuration, then {restart}.";
const PROGRAM_FIX =
  "Install {program|{path|the program}} where {source} runs, or correct its path in the settings or the script that calls it, then {restart}.";
const MODULE_FIX =
  "Install {module|what the line names} where {source} runs (the host, the image, the virtual environment), in the version it expects, then {restart}.";

/** What should be there is not: files, directories, programs, devices. */
export const MISSING = rulesOf("missing_file", FILE_FIX, [
  {
    id: "program-missing",
    any: words(`
      cannot execute | can't execute | could not execute | couldn't execute | unable to execute | failed to execute | cannot exec | failed to exec | can't exec | unable to exec | cannot run | could not run | can't run | unable to run | failed to run | failed to spawn | cannot spawn | could not spawn | unable to spawn | failed to start process | cannot start process | command not found | : not found | not found in path | not found in $path | no such program | no such command | executable not found | executable file not found | executable does not exist | cannot find executable | could not find executable | unable to find executable | could not locate executable | binary not found | program not found | interpreter not found | cannot find the java | java_home | java not found | no java | befehl nicht gefunden | kommando nicht gefunden | commande introuvable | orden no encontrada | comando não encontrado | コマンドが見つかりません | could not find program | unknown terminal program | is it installed | which: no
    `),
    when: /(?:cannot|can't|could not|couldn't|unable to|failed to) (?:execute|exec|spawn|run|invoke)\b.{0,40}?["'`]?(?<path>\/[\w./+-]{2,200})(?!.{0,200}(?:permission|denied|format|memory))|(?<program>[\w./+-]{2,80}): (?:command )?not found\b|(?:command|program|executable|binary|interpreter)s? (?:file )?["'`]?[\w./+-]{0,100}["'`]? ?(?:was |is |could )?(?:not (?:be )?found|does not exist|missing|doesn't exist)|not found in \$?path|no such (?:program|command)|(?:cannot|could not|unable to|can't|couldn't) (?:find|locate) (?:the )?(?:\w{1,12} )?(?:executable|binary|program|command|interpreter)\b|befehl nicht gefunden|kommando nicht gefunden|commande introuvable|(?:orden|comando) no encontrad|comando não encontrado|コマンドが見つかりません|which: no \w/i,
    not: /permission denied|format error|not a valid|keine berechtigung|cannot allocate|module|plugin|library|package|\.so\b|http|sql|query|\btable|\bpage|resource temporarily|container|key not found|user not found|unknown command|no such command '|timed? ?out|jarfile|\.jar|\bjob|\btask|hook failed|script|config|host not found|\burl/i,
    exitCodes: [127, 203],
    tier: "cause",
    cause: "The program {program|{path|that {source} calls}} is not where {source} looks for it.",
    fix: PROGRAM_FIX,
  },
  {
    // A start script says so before it says which program it could not run.
    id: "java-home-wrong",
    any: words("java_home | no java"),
    when: /JAVA_HOME.{0,60}(?:not (?:defined|set|found|valid|correct)|invalid|does not|wrong|incorrect)|\bno java\b/i,
    tier: "likely",
    cause: "There is no Java where {source} looks for it (JAVA_HOME).",
    fix: "See which Java is installed (`ls /usr/lib/jvm`) and what JAVA_HOME says for {source} ({show}); install that Java or correct the path, then {restart}.",
  },
  {
    id: "file-missing",
    any: words(`
      does not exist | doesn't exist | do not exist | not found | is missing | could not find | cannot find | can't find | couldn't find | unable to find | failed to find | could not locate | cannot locate | unable to locate | no such | missing file | missing directory | file missing | nonexistent | non-existent | not exist | not present | cannot stat | can't stat | could not stat | failed to stat | unable to stat | cannot access | cannot include | missing: | nicht gefunden | introuvable | no encontrado | não encontrado | 見つかりません
    `),
    when: /(?:^|[\s"'`(=:<[])(?<path>(?:\/|\.{1,2}\/|~\/|[A-Z]:\\)[\w./+@%~:\\-]{2,220})["'`)\]>]{0,2}:? ?(?:\w{1,12} )?(?:\w{1,12} )?(?:does(?: not|n't) exist|(?:was |is |could )?not (?:be )?(?:found|present|there)|is missing|missing|no such|nicht gefunden|introuvable|no encontrado|não encontrado)|\b(?:file|directory|folder|path|dir|volume|mount ?point|database file|key ?file|template|script|image file|model|dataset|document root|home|root|data ?dir\w{0,6}|snapshot|spool|archive|manifest|include|jar|entry ?point|index|map|dump|rom|disk image)s? ["'`<(]?[\w./+@%~:\\ -]{0,160}["'`>)]? ?(?:does(?: not|n't) exist|(?:was |is |are |could )?not (?:be )?(?:found|present|there|exist)|is missing)|(?:could not|cannot|can't|couldn't|unable to|failed to) (?:find|locate|stat|access|open) (?:the |any |a )?(?:\w{1,16} )?(?:\w{1,16} )?(?:file|directory|folder|path|script|jar|template|model|["'`]?(?<other>\/[\w./+@%~-]{2,200}))|\bno such (?:file|directory|path|folder)|could not find or open|no files? (?:matching|match) |missing (?:file|directory|folder|path|script)|nonexistent (?:file|directory|path)|cannot include (?<include>[\w./+-]{2,200})/i,
    not: /module|plugin|library|\blib[\w+-]{1,40}\.so|shared object|package|\bgem\b|\bclass\b|extension|driver|host not found|user .{0,40}not found|key not found|symbol|skipping|ignoring|optional|using default|GET \/|HTTP\/1|favicon|404|\btable|executable|relation|column|database "|sock\b|socket|connect|container image|manifest unknown|permission denied|keine berechtigung|read-only|certificate .{0,40}(?:verify|expired)|record|route|peer|\bnode|device|interface|secret|configmap|element|property|function|method|variable|\bunit|service not found|domain|branch|\btag|revision|no such host|no such user|\bapi|endpoint|zone|topic|queue|bucket|cluster|leader|broker|member|process|session|\bjob|\btask|group|\brole|account|token|schema|command not found|checksum|no such container|collection|index_not/i,
    tier: "likely",
    cause: "{source} needs {path|{other|{include|a file or directory}}}, and it does not exist.",
  },
  {
    id: "device-or-interface-missing",
    any: words(`
      no such device | device not found | cannot find device | could not find device | no such interface | interface not found | unknown interface | does not exist | not found | no devices found | no device found | no adapter | no such network | no cards found | no soundcards | unable to open device | cannot open device | could not open device | failed to open device | no usb | no gpu | no nvidia | no cuda | no compatible | no bluetooth | no default controller | no printers | not detected | no sensors | no watchdog
    `),
    when: /no such (?:device|interface|network interface|adapter)|(?:device|interface|adapter|controller|modem|camera|sensor|tuner|dongle|card|printer|gpu|disk|drive|partition|\/dev\/\w{1,20}|eth\d|wlan\d|tun\d|can\d|tty\w{2,6})["'`]? ?(?:\w{1,10} )?(?:\w{1,10} )?(?:not (?:be )?(?:found|detected|present|connected)|does not exist|doesn't exist|is missing|disappeared)|device (?:\S{1,20} )?(?:\S{1,20} )?(?:\S{1,20} )?(?:does not exist|not found)|cannot find device|no (?:\w{1,14} )?(?:devices?|adapters?|cards?|gpus?|controllers?|soundcards?|sensors?|interfaces?|dongles?) (?:were |was |are |is )?(?:found|detected|available|present)/i,
    not: /module|driver|plugin|library|package|no space|ioctl|SIOC|i\/o error|\bmanifest|host not found|server|image/i,
    tier: "likely",
    cause: "A device or interface that {source} needs is not there: {device|see the line}.",
    fix: "List the devices (`lsblk -f`, `ip link`, `lsusb`) and compare with the settings of {source}; attach the device, pass it into the container or correct its name, then {restart}.",
  },
]);

/** A part that the program loads is missing: modules, plugins, libraries, packages, drivers, classes. */
export const MISSING_PARTS = rulesOf("missing_dependency", MODULE_FIX, [
  {
    id: "part-missing",
    any: words(`
      module | plugin | plug-in | library | libraries | package | extension | dependency | dependencies | driver | gem | crate | class | addon | add-on | provider | codec | backend | component | bundle | jar | assembly | typelib | not installed | isn't installed | is not installed | please install | needs to be installed | must be installed | has to be installed | install the | pip install | npm install | apt install | cpan | luarocks | no lua | loader | symbol | requirement | required but | not registered | no element | dso | shared object | collection
    `),
    when: /\b(?:modules?|plug-?ins?|librar(?:y|ies)|packages?|extensions?|dependenc(?:y|ies)|drivers?|gems?|crates?|class(?:es)?|add-?ons?|providers?|codecs?|components?|bundles?|jars?|assembl(?:y|ies)|typelibs?|namespace|collection|backend|loader|interpreter|DSO|filter) (?:["'`<([]?[\w@./+:-]{1,120}["'`>)\]]?,? )?(?:["'`<([]?[\w@./+:-]{1,120}["'`>)\]]?,? )?(?:(?:is|are|was|were|could|can) ?(?:not|n't) (?:be )?(?:found|installed|available|loaded|located|resolved|present|loadable)|not (?:found|installed|available|loaded|present)|(?:is|are) missing|missing|does not exist|doesn't exist|failed to load|could not load)|(?:no|missing|unknown|unresolved|unmet|unsatisfied) (?:such )?(?:module|plug-?in|library|package|extension|dependenc(?:y|ies)|driver|gem|crate|class|add-?on|typelib|codec|provider|namespace|backend module|requirement)s?\b(?! version)|(?:cannot|can't|could not|couldn't|unable to|failed to|error) (?:find|load(?:ing)?|locate|import(?:ing)?|resolve|open|require) (?:the |a |any |required |native |shared |dynamic )?(?:the |a |any |required |native |shared |dynamic )?(?:\w{1,20} )?(?:module|plug-?in|library|package|extension|dependenc|driver|gem|crate|class|add-?on|provider|codec|bundle|jar|assembly|typelib|backend|shared object|DSO)|\b(?:is not|isn't|not) installed\b|\b(?:please install|needs? to be installed|must be installed|has to be installed|(?:pip|npm|apt(?:-get)?|dnf|yum|gem|cpan|luarocks|composer|go) (?:install|require|get) )|\bundefined (?:symbol|reference)|no Lua module|unknown (?:backend|storage engine|database driver|input plugin|output plugin)\b|requires? (?:the )?["'`]?[\w.-]{1,60}["'`]? (?:module|package|library|extension|plug-?in|gem|driver)\b|forgotten import|Requirement\.parse|not loadable|DSO .{0,40}(?:load|failed)|["'`][\w.-]{2,40}["'`] (?:librar|module|package|plugin)|requirements? .{0,60}not (?:found|met|satisfied)|(?:module|plugin|provider|driver|handler|codec|element) not registered|no element ["'`]|\bno \w{2,20} (?:library|module|plugin|package|driver|codec)s? (?:found|available|installed|loaded)|unable to find (?:filter|handler) |could not find an? \w{3,20} runtime|linker ["'`]\w{1,20}["'`] not found|required but (?:not|is not|isn't|missing)|(?:load|find) (?:the )?\w{1,12} platform plugin|package .{1,60} not found/i,
    not: /\[config\]|config ?error|section '|version|GLIBC|incompatible|compiled against|permission denied|checksum|corrupt|certificate|kernel module|modprobe|optional|skipping|skipped|without it|disabled|update available|can be installed|successfully|not required|NoneType|undefined method|cannot import name|wrong elf|truncated|class file version|stack trace|exec format|timed? ?out|connection|image|container|elf|signature|device driver|no such device|password|auth/i,
    tier: "cause",
    cause: "{source} cannot find or load {module|a module, library or package that it needs}.",
  },
  {
    id: "kernel-part-missing",
    any: words(`
      kernel module | modprobe | not supported by kernel | kernel does not support | no chain/target | kernel support | not compiled into | not built into the kernel | module not found in directory | could not insert | unknown filesystem type | unknown file system | protocol not supported | operation not supported | is not enabled in the kernel | kernel lacks | insmod
    `),
    when: /kernel module.{0,80}(?:not (?:found|loaded|available)|missing|could not|cannot|failed)|modprobe: (?:FATAL|ERROR)|modprobe.{0,80}(?:not found|failed|could not)|(?:kernel|it) (?:does not|doesn't) (?:support|have)|not (?:supported by|built into|compiled into|enabled in) (?:the |this |your )?(?:running )?kernel|unknown file ?system type|kernel lacks|could not insert|no kernel support|no chain\/target\/match/i,
    not: /version magic|exec format|disagrees|permission denied|operation not permitted|invalid module format|key|signature|you must be root/i,
    tier: "cause",
    cause: "The kernel has no module {module|that {source} needs}, at least not in the version that runs.",
    fix: "Compare `uname -r` with /lib/modules; install the kernel's modules (or reboot into the installed kernel), then {restart} ({source}).",
  },
]);
