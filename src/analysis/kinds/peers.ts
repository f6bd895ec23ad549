import { rulesOf, words } from "../rules/rule.ts";

const REACH_FIX =
  "Check whether the service behind {host|the address} is up and listens, and that no network or firewall rule is in the way. Start it, then {restart} ({source}).";
const NAME_FIX =
  "Try the name where {source} runs: `getent hosts {host|<name>}` and `resolvectl status`. Correct the name in the configuration, or the name server, then {restart}.";
const WAIT_FIX =
  "Find out what {source} waited for ({logs}): is {host|the other side} slow, overloaded or cut off? Cure that; raise the time limit only when the work really needs longer. Then {restart}.";

const PEER =
  "(?:server|host|peer|broker|master|primary|leader|slave|replica|upstream|backend|database|db|daemon|service|endpoint|controller|manager|node|remote|gateway|proxy|registry|cluster|api|socket|hub|queue|redis|relay|bus|agent|coordinator|storage|collector|repository|mirror|tracker|director|supervisor|bootstrap|router|switch|printer|ups|driver|name ?node|data ?node|resource ?manager|scheduler|monitor|mds|osd)s?";

/** What a program needs is down or cannot be reached. */
export const UNREACHED = rulesOf("connection_refused", REACH_FIX, [
  {
    id: "cannot-reach",
    any: words(`
      connect to | connecting to | connection to | contact | reach | reachable | unreachable | communicate with | talk to | dial | connection refused | connection failed | connection lost | lost connection | connection closed | connection reset | connection dropped | connection was | connection has been | connection terminated | connection aborted | connection error | disconnected | fetch failed | failed for all | retrying connect | already tried | no connection | not connected | refused connection | refused by | server refused | communications error | communication error | communication with | communication failure | link failure | communication lost | communications with | shunn | missed | lost contact | went away | gone away | no response from | not responding | not answering | hung up | is down | are down | unavailable | not available | not running | isn't running | not accepting connections | is offline | offline | stale connection | bus error: | failed to get d-bus | d-bus | dbus
    `),
    when: new RegExp(
      `(?:cannot|can't|could not|couldn't|can not|unable to|failed(?: to)?|failure|error|fail) (?:to )?(?:establish (?:a |the )?|re-?)?(?:connect(?:ing|ion)?|contact(?:ing)?|reach(?:ing)?|communicat(?:e|ing|ion)|talk(?:ing)?|dial(?:ing)?)\\b|\\b(?:connection|link|session) (?:to|with|from|attempt)? ?.{0,100}(?:refused|failed|lost|closed|reset|dropped|terminated|aborted|broken|rejected|could not be|cannot be|was not|down)\\b|\\b(?:lost|no|dropped|broken) connection (?:to|with)|\\b${PEER}\\b ["'\`(]?[\\w.:/@-]{0,100}["'\`)]? ?(?:is|are|was|seems|appears|has|may be|went) ?(?:to be )?(?:down|unreachable|unavailable|offline|not (?:accepting connections|running|reachable|available|responding|ready|answering|connected|listening|up)|gone|away|dead|refusing|disconnected)|\\b(?:no|zero|none of the) (?:\\w{1,16} )?(?:\\w{1,16} )?${PEER} (?:is |are |was |were )?(?:available|reachable|found|responding|up|online|running|alive|connected|elected|could be reached|answered)|fetch failed\\b|attempting reconnect|closing socket connection|request failed for all|not connected to|disconnected (?:from|us\\b|unexpectedly|by (?:the )?(?:server|peer|broker|remote))|retrying connect|already tried \\d|communications? (?:with .{1,80} )?(?:error|failure|lost|link failure)|missed \\d{1,4} (?:heartbeats|pings|checks)|shunn(?:ed|ing)|lost contact|(?:went|gone) away|hung up|unreachable`,
      "i",
    ),
    not: /timed? ?out|time-out|certificate|x509|\btls\b|\bssl\b|handshake|password|auth|credential|token|resolve|lookup|unknown host|host not found|no such host|name or service|permission|\bdebug\b|unreachable code|too many|client (?:has )?disconnected|disconnected from (?:user|invalid)|unix_chkpwd|by user|nxdomain|name resolution|getaddrinfo|no such file|license|pool|access denied|forbidden|manifest|\bimage\b|cannot allocate|display|x server|version|closed by client|client closed|normal/i,
    tier: "likely",
    cause: "{source} cannot reach {host|a service that it needs}: it is down, or the way to it is cut.",
  },
  {
    id: "refused-in-words",
    any: words(`
      refused | econnrefused | abgelehnt | refusée | rehusada | rechazada | recusada | 拒否され
    `),
    when: /connection (?:was |is |has been )?(?:actively )?refused|refused (?:the |our |a )?connection|connect(?:ion)? to .{1,120}refused|\beconnrefused\b|connection attempt .{0,60}refused|(?:verbindung\w{0,10}|connexion|conexión|conexão|ligação).{0,40}(?:abgelehnt|verweigert|refus|rehusad|rechazad|recusad)|接続[をが]拒否/i,
    not: /probe|too many|certificate|password|auth/i,
    tier: "likely",
    cause: "{source} could not connect to {host|a service that it needs}: nothing listens there (connection refused).",
  },
  {
    id: "http-unavailable",
    any: words(
      `502 | 503 | bad gateway | service unavailable | status_unavailable | unavailable: | code = unavailable | statuscode.unavailable | serviceunavailable`,
    ),
    when: /\b(?:http|status|code|error|response|returned|got|received|responded|server|with|failed)[^0-9]{0,30}\b50[23]\b|\b50[23] (?:bad gateway|service|server error)|bad gateway|service (?:temporarily )?unavailable|\bUNAVAILABLE\b|code = Unavailable/i,
    not: /"(?:GET|POST|PUT|HEAD|DELETE) |\bGET \/|probe|timed? ?out|certificate|x509|lookup|no such host|\bport|handshake/i,
    tier: "symptom",
    cause: "A service that {source} calls ({host|see the line}) is not available.",
  },
  {
    id: "cluster-without-quorum",
    any: words(`
      quorum | no leader | leader not | leaderless | election | no master | master not | not enough nodes | not enough members | not enough replicas | split brain | split-brain | no primary | lost quorum | notenoughreplicas | insufficient replicas | cluster is down | clusterdown | cluster not | leader | quorum
    `),
    when: /(?:no|lost|without|not enough|cannot (?:reach|achieve|form)|failed to (?:reach|achieve|form)|insufficient|waiting for) (?:\w{1,10} )?(?:quorum|leader|master|primary)|quorum (?:is )?(?:lost|not (?:met|reached|present|available|possible)|unavailable)|(?:leader|master|primary) (?:is )?not (?:found|discovered|available|elected)|(?:not enough|insufficient) (?:live )?(?:nodes|members|replicas|in-?sync)|NotEnoughReplicas|CLUSTERDOWN|cluster is down/i,
    not: /timed? ?out|resolve|auth/i,
    tier: "likely",
    cause: "The cluster that {source} belongs to has no quorum or leader: other members are down or unreachable.",
  },
]);

/** A name does not resolve, in the words of resolvers, languages and programs. */
export const UNRESOLVED = rulesOf("dns_failure", NAME_FIX, [
  {
    id: "name-unresolved",
    any: words(`
      resolve | resolving | resolution | resolver | hostname | host name | host not found | unknown host | unknown server host | no such host | name not known | not known | getaddrinfo | gethostbyname | address for | address of | nxdomain | servfail | dns | lookup | nodename | noname | eai_ | enotfound | no address | bad address | name server | nameserver | nom ou service inconnu | résolution | der name oder | namensauflösung | nombre o servicio | resolución | nome ou serviço | resolução | 名前または | 名前解決 | host desconocido | hôte inconnu | unbekannter host | host desconhecido | no addresses | a record | srv record | mx record
    `),
    when: /(?:cannot|can't|could not|couldn't|can not|unable to|failed to|failure|failed|error|not|fail) (?:to )?(?:resolve|resolving|look ?up|looking up|get (?:the )?(?:ip |host )?address(?:es)?|determine (?:the )?(?:ip |host )?address|find (?:the )?(?:address|ip)(?: of| for)?)\b(?! (?:symbol|module|dependenc|reference|import|type|class|plugin|package|placeholder|variable|conflict|schema|issue|ref\b|merge|path|artifact|template|secret|manifest|digest|image))|(?:name|host|dns|address|hostname) (?:resolution|lookup|query) (?:has )?(?:failed|failure|error|timed out|refused)|(?:host|hostname|domain|server|name|peer|address)\b.{0,60}(?:not (?:be )?resolv|unresolvable)|unknown (?:server )?host\b|no such host|(?:host|hostname|domain|server) (?:name )?["'`]?[\w.-]{0,100}["'`]? ?not found\b|name or service not known|temporary failure in name|nodename nor servname|\bEAI_\w{3,12}\b|\bENOTFOUND\b|gethostbyname|getaddrinfo.{0,60}(?:fail|error|:)|\bNXDOMAIN\b|\bSERVFAIL\b|nom ou service inconnu|échec temporaire dans la résolution|résolution (?:du|de) nom|der name oder der dienst|namensauflösung|nombre o servicio desconocido|resolución de(?:l)? nombre|nome ou serviço desconhecido|resolução de nome|名前またはサービスが不明|名前解決|(?:host desconocid|hôte inconnu|unbekannter host)|no address(?:es)? (?:found |associated )?(?:for|with)|bad address ['"]|dns (?:error|failure|problem)|(?:no|missing) (?:a|aaaa|srv|mx) records?|(?:produced|returned|got) (?:zero|no|0) addresses/i,
    not: /does not resolve to address|placeholder|symbol|module|dependenc|plugin|package|class |import|variable|repository .{0,40}artifact|known_hosts|host key|image|manifest|server's fully qualified|certificate|\bwarn.{0,40}reverse|reverse (?:dns|lookup|mapping)|conflict|unknown host key|lookup table|key not found|dnssec|\brule|user/i,
    tier: "cause",
    cause: "The name {host|of a host that {source} needs} does not resolve.",
  },
]);

/** Killed or given up for being slow. */
export const TOO_SLOW = rulesOf("timeout", WAIT_FIX, [
  {
    id: "killed-for-being-slow",
    any: words(`
      harakiri | watchdog | notification not received | no notification | heartbeat | sd_notify | did not notify | didn't notify | sigabrt | worker timeout | worker failed to check in | not responding | unresponsive | hung | stuck | stall | stalled | soft lockup | hard lockup | blocked for more than | failed to respond | did not respond | didn't respond | did not answer | no answer | no reply | no response | did not reply | did not finish | did not complete | did not exit | did not stop | did not start | did not terminate | failed to stop | failed to exit | failed to start within | took too long | taking too long | too slow | running too long | ran too long | for too long | been running | lifetime exceeded | exceeded its | exceeded the time | time limit | timelimit | max execution | max runtime | activedeadlineseconds | deadlineexceeded | deadline | missed | sigkill after | force kill | forcibly | not ready after | not ready within | not become ready | not become available | not come up | not up after | giving up after | gave up after | giving up waiting | gave up waiting | tired of waiting | exhausted all | still waiting | waited | execution time | received | blocked for | slow op | slow request | no beacon | is taking | exceeded | never | properly respond | last seen | lost | no progress | livelock | timer expired | poll loop | succeed | lease | liveness | loop detected
    `),
    when: /HARAKIRI|watchdog (?:timeout|timed? ?out|expired|triggered|fired|caught|bark|has|killed|detected|:)|(?:killed|terminated|aborted|restart\w{0,3}) by (?:the )?watchdog|result 'watchdog'|(?:notification|heartbeat|keepalive|ping|pong|ack|reply|response|answer|signal)s? (?:was |were )?(?:not|never) received|no (?:notification|heartbeat|reply|response|answer|ack) (?:was )?(?:received|from|within|for|after|in time)|missed (?:\w{1,10} )?heartbeats?(?!, shun)|lost heartbeat|last seen \d|heartbeat.{0,40}(?:missed|lost|expired|failure|timed? ?out)|did(?: not|n't) (?:succeed|notify|respond|answer|reply|finish|complete|exit|stop|start|terminate|come up|become (?:ready|available|healthy)|return).{0,60}(?:in time|within|after|for|\d)|not (?:ready|up|available|healthy|running|finished|become ready|come up) (?:after|within|in) \d|(?:not responding|unresponsive|hung|stuck|stalled)\b.{0,60}(?:for|since|more than|after|kill|abort|restart|\d)|took too long|took longer than \d|killed after running|running for \d{1,9} ?s|exceeded \d[\d.]{0,8} ?(?:ms|s|sec|seconds|m|min|minutes|h)\b|(?:never|not) (?:been )?(?:sent|received) ?(?:in time|within|$)|did not properly respond|\bno [\w-]{3,20} for \d{1,6} ?(?:s|sec|seconds|ms|minutes|min)\b|blocked for \d{1,6}|\bslow (?:ops|requests?)\b|\bno (?:DHCP\w{0,10}|lease|offers?|answers?|repl\w{1,3}|responses?|packets?|acks?|data|frames?)s? (?:\w{1,10} )?received|is taking (?:a long time|too long|longer)|(?:running|ran|been running|waited|waiting) (?:for )?(?:too long|longer than|more than|over \d)|exceeded (?:the |its )?(?:time|runtime|wall ?clock|execution|maximum execution|max execution|maximum time|max time|\w{1,12} deadline|deadline|allowed time)|(?:time|wall ?time|run ?time|execution|cpu time) ?limit (?:of .{1,30} )?(?:was |is |has been )?(?:exceeded|reached|expired|hit)|(?:giving|gave) up (?:waiting|after(?! (?:\w{1,10} )?(?:\w{1,10} )?(?:retr|tr(?:y|ies)|attempt)))|deadline (?:exceeded|expired|missed|passed|of)|DeadlineExceeded|soft lockup|hard lockup|(?:force|forcibly|forced) (?:kill|terminat|stop)\w{0,4}.{0,40}(?:after|timeout)|(?:due|cause|status|job \d{1,12}).{0,40}TIME ?LIMIT/i,
    not: /connection refused|refused|no route|too many|lock wait|waiting for (?:the )?lock|pool|\binfo\b(?!['"]:)|lease.{0,30}obtained|io error|i\/o error|out of memory/i,
    tier: "likely",
    cause: "{source}, or a part of it, did not finish or give a sign of life in time: {said|see the line}.",
  },
  {
    id: "timed-out-in-words",
    any: words(`
      timed out | timeout | time out | timed-out | time-out | timeouterror | timeoutexception | etimedout | no reply | no answer | no response | zeitüberschreitung | délai d'attente | délai | tiempo de espera | tempo esgotado | tempo limite | タイムアウト
    `),
    when: /\btimed?[ -]?out\b(?! ?(?:set|=|:? ?\d|value|is \d|of \d{1,6} ?\w{0,3}$))|\b\w{0,30}timeout\w{0,12}(?:error|exception|expired)|\bETIMEDOUT\b|(?:error|failed|failure|fatal|expired|exceeded|reached|hit).{0,100}timeout|timeout.{0,60}(?:error|failed|failure|exceeded|reached|waiting|while|after|occurred|elapsed)|\bno (?:reply|answer|response) .{0,60}\b(?:in|within|for|after) \d|zeitüberschreitung|délai (?:d'attente )?(?:dépassé|expiré)|tiempo de espera (?:agotado|excedido)|tempo (?:esgotado|limite (?:excedido|esgotado))|タイムアウト/i,
    not: /timeout[=:] ?\d|keepalive|\bidle\b|\bdebug\b|lock wait|waiting for lock|pool|setting|configured|increase the timeout|lock request/i,
    tier: "symptom",
    cause: "Something that {source} waited for ({host|see the line}) did not come in time.",
  },
]);
