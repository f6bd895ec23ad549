import type { OwnAlert } from "./own-alerts.ts";

const LOOK_THERE =
  "Look where {source} runs whether it does (`systemctl status` or `docker ps`, `ss -ltnp`) and what its log said last; start it.";
const RENEW =
  "Renew it where {source} ends TLS (`certbot renew`, or its authority), install it with all that signed it, and reload that server.";
const ON_THE_WAY =
  "See from this host whether other services there answer; then look at the firewall, the route (`ip route get`) and the load where {source} runs.";
const CHAIN =
  "Install the server's certificate together with the intermediate ones (a full chain) where {source} ends TLS; for an authority of your own name its PEM file in the check by `ca=`.";

/** What the agent's checks say; each message begins with what was asked. Other answers are read as any log is. */
export const CHECK_ALERTS: readonly OwnAlert[] = [
  {
    id: "check-slow",
    category: "timeout",
    pattern: /^(?<target>\S{1,400}) is slow: it took (?<took>\d{1,9} ms), more than (?<limit>\d{1,9} ms)/,
    cause: "{target} answers slowly: in {took}, where {limit} are the limit.",
    fix: "Look at the load where {source} runs (processors, memory, disk), at what it waits for itself (database, other services), and at the network between; the log of this alert has the last times.",
  },
  {
    id: "check-certificate-ends",
    category: "tls_certificate",
    pattern:
      /^(?<target>\S{1,400}): the certificate of (?<subject>.{1,200}?)(?:, by which the server's is signed,)? (?<when>expires in \d{1,6} days, on [\d-]{10}|has expired on [\d-]{10})/,
    cause: "The certificate of {subject}, which {target} shows, {when}. Nobody trusts it from then on.",
    fix: RENEW,
  },
  {
    id: "check-certificate-expired",
    category: "tls_certificate",
    pattern:
      /^(?<target>\S{1,400}): certificate has expired(?:: that of (?<subject>.{1,200}?) was good until (?<day>[\d-]{10}))?/,
    cause: "{target} shows a certificate that has expired: that of {subject|its server}, good until {day|lately}.",
    fix: RENEW,
  },
  {
    id: "check-certificate-early",
    category: "tls_certificate",
    pattern:
      /^(?<target>\S{1,400}): certificate is not yet valid: that of (?<subject>.{1,200}?) begins on (?<day>[\d-]{10})/,
    cause: "{target} shows a certificate of {subject} that is good only from {day} on.",
    fix: "See whether the clock of this host is right (`timedatectl`); else install the certificate of {source} that is good now.",
  },
  {
    id: "check-certificate-name",
    category: "tls_certificate",
    pattern:
      /^(?<target>\S{1,400}): the certificate is not for (?<host>\S{1,255}): it is for (?<names>.{1,300}?) \(ERR_TLS_CERT_ALTNAME_INVALID/,
    cause: "{target} shows a certificate of another name: it is for {names}, not for {host}.",
    fix: "See whether {source} is asked for by its right name and reaches the right server; else have a certificate made that names it, too, and install that.",
  },
  {
    id: "check-certificate-self-signed",
    category: "tls_certificate",
    pattern: /^(?<target>\S{1,400}): the certificate of (?<subject>.{1,200}?) is self-signed/,
    cause: "{target} shows a certificate that {subject} signed itself: nobody vouches for it.",
    fix: CHAIN,
  },
  {
    id: "check-certificate-issuer",
    category: "tls_certificate",
    pattern:
      /^(?<target>\S{1,400}): the (?:certificate of (?<subject>.{1,200}?) is signed by (?<issuer>.{1,200}?), which is unknown|authority (?<authority>.{1,200}?) is not trusted|certificate's issuer is unknown|chain's last certificate is self-signed)/,
    cause:
      "The certificates that {target} shows lead to no authority that this host knows: {authority|{issuer|the issuer}} is unknown here.",
    fix: CHAIN,
  },
  {
    id: "check-certificate-weak",
    category: "tls_certificate",
    pattern: /^(?<target>\S{1,400}): the certificate of (?<subject>.{1,200}?) is weak: (?<why>[^(]{1,100})/,
    cause: "{target} shows a weak certificate, that of {subject}: {why}. Browsers refuse it.",
    fix: RENEW,
  },
  {
    id: "check-refused",
    category: "connection_refused",
    pattern: /^(?<target>\S{1,400}): connection refused/,
    cause: "{target} refuses connections: nothing listens there, or a firewall says no.",
    fix: LOOK_THERE,
  },
  {
    id: "check-unreachable",
    category: "connection_refused",
    pattern:
      /^(?<target>\S{1,400}): (?<what>no route to host|network is unreachable|no address of this host leads there)/,
    cause: "{target} cannot be reached from this host: {what}.",
    fix: ON_THE_WAY,
  },
  {
    id: "check-closed",
    category: "connection_refused",
    pattern: /^(?<target>\S{1,400}): (?:connection reset by peer|the connection was closed)/,
    cause:
      "{target} took the connection and closed it without an answer: it is starting, overloaded, failing, or speaks another protocol.",
    fix: LOOK_THERE,
  },
  {
    id: "check-timeout",
    category: "timeout",
    pattern:
      /^(?<target>\S{1,400}): (?:timed out: (?<lack>.{1,200}?)(?= within \d)|connection timed out|HTTP (?:504|408)\b)/,
    cause: "{target} does not answer in time: {lack|it timed out}.",
    fix: ON_THE_WAY,
  },
  {
    id: "check-name",
    category: "dns_failure",
    pattern:
      /^(?<target>\S{1,400}): (?<what>name not found in the DNS|the name (?:cannot be resolved now|has no such record)|no DNS server answers|the DNS (?:server |has no )[^(]{1,80})/,
    cause: "The name in {target} does not resolve: {what}.",
    fix: "Ask for it by hand (`resolvectl query` or `getent hosts`); look at /etc/resolv.conf of this host, at its DNS server, and at the zone of {source}.",
  },
  {
    id: "check-address",
    category: "dns_failure",
    pattern: /^(?<target>\S{1,400}): the name resolves to (?<found>[^(]{1,200}), not to (?<wanted>[^(]{1,200}?) \(/,
    cause:
      "{target} resolves to {found}, where {wanted} is expected: the zone was changed, or this host asks another server.",
    fix: "Look at the zone of {source} and at who changed it; if the new address is right, put it into the check.",
  },
  {
    id: "check-upstream",
    category: "connection_refused",
    pattern: /^(?<target>\S{1,400}): (?<status>HTTP 50[23])\b/,
    cause: "{target} answers {status}: the web server is there, what stands behind it is down or refuses.",
    fix: "Look at the program behind the web server of {source} (`systemctl status` or `docker ps`) and at what the web server's error log says of it; start it.",
  },
  {
    id: "check-sign-in",
    category: "authentication",
    pattern: /^(?<target>\S{1,400}): (?<status>HTTP 40[17])\b/,
    cause: "{target} asks who asks: it answers {status}.",
    fix: "Give the check of {source} its credentials (in the URL, or by `header=`), or have it ask for a place that is open; or add 401 to its `status=`.",
  },
  {
    id: "check-forbidden",
    category: "permission_denied",
    pattern: /^(?<target>\S{1,400}): (?<status>HTTP 403)\b/,
    cause: "{target} refuses this host: it answers {status}.",
    fix: "Look at the access rules of {source} (addresses, credentials, a firewall for web applications), and at what changed there last.",
  },
  {
    id: "check-missing",
    category: "missing_file",
    pattern: /^(?<target>\S{1,400}): (?<status>HTTP 4(?:04|10))\b/,
    cause: "{target} is not there: the server answers {status}.",
    fix: "See whether the path of {source} is still right after its last deployment, and whether requests reach the right program.",
  },
  {
    id: "check-rate",
    category: "resource_limit",
    pattern: /^(?<target>\S{1,400}): (?<status>HTTP 429)\b/,
    cause: "{target} is asked too often: it answers {status}.",
    fix: "Have {source} asked less often (the check's interval), or raise its limit for this host.",
  },
  {
    id: "check-redirects",
    category: "config_error",
    pattern: /^(?<target>\S{1,400}): more than \d{1,3} redirects, the last one to (?<place>\S{1,400})/,
    cause: "{target} leads round in a circle of redirects, the last one to {place}.",
    fix: "Look at the redirects of {source} (http to https, with and without www, a proxy that ends TLS and does not say so by X-Forwarded-Proto).",
  },
];
