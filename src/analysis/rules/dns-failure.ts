import { rulesOf, words } from "./rule.ts";

const FIX =
  "Try the name where {source} runs: `getent hosts {host|<name>}` and `resolvectl status`. Correct the name in the configuration, or the name server (for a container its network and `docker inspect`), then {restart}.";

/** A host name does not resolve. */
export const DNS_FAILURE = rulesOf("dns_failure", FIX, [
  {
    id: "name-not-known",
    any: words(`
      name or service not known | temporary failure in name resolution | nodename nor servname
      no address associated with hostname | name does not resolve | name resolution failed | name resolution failure
      temporary failure resolving | name could not be resolved | could not be resolved | could not resolve
      cannot resolve | can't resolve | unable to resolve | failed to resolve | failed to lookup | couldn't resolve
      failure in name resolution | name resolution error | hostname resolution | dns resolution | dns lookup
      dns error | domain name not found | no such host is known | getaddrinfo failed | dns failure | error resolving
      resolution failed | not resolve host | nameresolutionerror | address lookup failed | dns failed
    `),
    when: /name or service not known|failure (?:in name resolution|resolving)|nodename nor servname|no address associated|name (?:does not resolve|resolution (?:failed|failure|error)|could not be resolved)|(?:could not|cannot|can't|unable to|failed to|couldn't|not) (?:resolve|lookup).{0,40}(?:host|address|name|domain|dns|server|peer|'|"|`|:| [\w-]{1,60}\.[\w.-]{1,60})|dns (?:resolution|lookup|error|fail)|hostname resolution failed|no such host is known|getaddrinfo failed|domain name not found|(?:host|name|server|relay|upstream).{0,80}could not be resolved|\bcould not be resolved \(\d|error resolving (?:host|name|address|dns)|NameResolutionError|address lookup failed/i,
    not: /does not resolve to address|placeholder|symbol|module|dependenc|reference "|reference:|schema|conflict|type |class|import|package|variable|\bclient\b.{0,30}hostname/i,
    tier: "cause",
    cause: "The name {host|of a host that {source} needs} does not resolve.",
  },
  {
    id: "go-lookup",
    any: words(`no such host | server misbehaving | dial tcp: lookup | lookup`),
    when: /no such host|lookup (?<host>[\w.-]{1,200})(?: on \S{1,80})?: (?:no such host|server misbehaving|i\/o timeout|read udp|dial udp|temporary failure|no answer|Try again)|lookup (?<name>[\w.-]{1,200}).{0,80}(?:connection refused|timeout)/i,
    not: /no such hosted/i,
    tier: "cause",
    cause: "The name {host|{name|of a host that {source} needs}} does not resolve.",
  },
  {
    id: "node-dns",
    any: words(`getaddrinfo | enotfound | eai_again | querysrv | eai_noname | eai_nodata | eai_fail`),
    when: /getaddrinfo (?:ENOTFOUND|EAI_\w{2,10}) ?(?<host>[\w.-]{0,200})|ENOTFOUND (?<name>[\w.-]{1,200})|EAI_\w{2,10}|getaddrinfo.{0,60}(?:fail|error|not known|-\d)|query(?:Srv|A|Txt) E\w{3,12}/i,
    tier: "cause",
    cause: "The name {host|{name|of a host that {source} needs}} does not resolve.",
  },
  {
    id: "java-unknown-host",
    any: words(`
      unknownhostexception | unresolvedaddressexception | no resolvable bootstrap urls | couldn't resolve server
      dnsnameresolvertimeoutexception | unable to canonicalize address | dns operation timed out
    `),
    when: /UnknownHostException:? ?(?<host>[\w.-]{0,200})|Unresolved|no resolvable|couldn't resolve server (?<name>[\w.:-]{1,200})|DnsNameResolver|canonicalize address (?<addr>[\w.-]{1,120})|DNS operation/i,
    tier: "cause",
    cause: "The name {host|{name|of a host that {source} needs}} does not resolve.",
  },
  {
    id: "nginx-host-not-found",
    any: words(`
      host not found in upstream | host not found in resolver | host not found in " | could not resolve address
      could not resolve host | ah02408
    `),
    when: /host not found in (?:upstream|resolver)? ?"?(?<host>[\w.-]{0,200})|could not resolve (?:address|host)/i,
    not: /AH00558/,
    tier: "root",
    cause: "The name {host|of an upstream} in the configuration of {source} does not resolve.",
  },
  {
    id: "mail-host-not-found",
    any: words(`
      host or domain name not found | name service error for name | unknown mysql server host
      could not translate host name | unknown host | host not found | unknownhost | hostname nor servname
      host name lookup failure | domain not found
      bad address | err_name_not_resolved | name not resolved
    `),
    when: /host or domain name not found|name service error for name=?(?<host>[\w.-]{0,200})|unknown mysql server host '(?<name>[^']{1,200})'|could not translate host name "(?<hostname>[^"]{1,200})"|unknown host|host not found|hostname nor|lookup failure|domain not found|(?:ping|nc|wget|curl|telnet|ssh): bad address|name_?(?: )?not_?(?: )?resolved/i,
    not: /known_hosts|host key|user |localhost.{0,40}(?:deprecated)|unknown host key/i,
    tier: "cause",
    cause: "The name {host|{name|{hostname|of a host that {source} needs}}} does not resolve.",
  },
  {
    id: "resolver-answers",
    any: words(`
      nxdomain | servfail | no servers could be reached | connection timed out; no servers | dns query failed
      dns server returned answer with no data | no nameservers | resolv.conf | nameserver limits
      using degraded feature set | all name servers | no working nameservers | dns problem:
    `),
    when: /(?:NXDOMAIN|SERVFAIL)(?! ?[:=] ?0)|no servers could be reached|query failed|returned answer with no data|no (?:working )?nameservers|dns problem/i,
    not: /\binfo\b(?!['"]:).{0,40}nxdomain rate/i,
    tier: "cause",
    cause: "The name server gives no answer for {host|a name that {source} needs}.",
  },
  {
    id: "erlang-nxdomain",
    any: words(`
      ,nxdomain} | {nxdomain | nodedown: nxdomain | epmd error for host | : nxdomain | reason: nxdomain
      epmd reports: node
    `),
    when: /nxdomain|epmd error for host.{0,120}(?:nxdomain|address)/i,
    tier: "cause",
    cause: "Erlang cannot resolve the host name {host|of the node}.",
  },
  {
    id: "coredns-loop",
    any: words(`loop (127.0.0.1 | plugin/loop | unreachable backend: read udp | [fatal] plugin/loop`),
    when: /loop.{0,60}detected|plugin\/errors: 2 .{1,160}(?:unreachable|timeout)/i,
    tier: "cause",
    cause: "The cluster's name server forwards to itself, or cannot reach the servers it forwards to.",
    fix: "Look at the forward line of CoreDNS' Corefile and at /etc/resolv.conf of the node: it must not point back to {source}. Correct it, then {restart}.",
  },
]);
