import { rulesOf, words } from "./rule.ts";

const FIX =
  "Check whether the service behind {host|the address} is up and listens (`ss -ltnp` there, `nc -zv` from here), and that no network or firewall rule is in the way. Start it, then {restart} ({source}).";

/** A service that the program needs is down or cannot be reached. */
export const CONNECTION_REFUSED = rulesOf("connection_refused", FIX, [
  {
    id: "connection-refused",
    any: words(`
      connection refused | econnrefused | connectionrefused | connection was refused | actively refused it
      verbindungsaufbau abgelehnt | errno 111 | os error 111 | (111) | error 111 | errno::econnrefused
    `),
    when: /connection (?:was )?refused|econnrefused|connectionrefused|actively refused|abgelehnt|refusée|errno 111|os error 111|\b(?:connect|mysql|server|redis).{0,120}\(?\b111\b/i,
    not: /readiness probe|liveness probe|startup probe/i,
    tier: "likely",
    cause: "{source} could not connect to {host|a service that it needs}: nothing listens there (connection refused).",
  },
  {
    id: "no-route",
    any: words(`
      no route to host | ehostunreach | noroutetohostexception | network is unreachable | enetunreach
      host is unreachable | host is down | ehostdown | destination host unreachable | os error 113 | errno 113
      errno 101 | no route to
    `),
    tier: "likely",
    cause: "{source} cannot reach {host|a host that it needs}: the network has no way there.",
    fix: "Check the route and the host (`ip route get`, `ping`) from where {source} runs, and the firewall or network between them; then {restart}.",
  },
  {
    id: "mysql-cannot-connect",
    any: words(`
      can't connect to local mysql server | can't connect to mysql server
      can't connect to local server through socket | can't connect to server on | could not connect to mysql
      lost connection to mysql server at | mysql server has gone away | can't connect to local mariadb
      lost connection to mysql server
    `),
    not: /timed out|\(110\)|\(13\)|unknown mysql server host|\(11001\)|"13"/i,
    tier: "likely",
    cause:
      "{source} cannot reach its MySQL server at {host|the configured address}: it is not running or not reachable.",
    fix: "Check the database first (`systemctl status mysql` or `mariadb`, or `docker ps`), and the address or socket that {source} uses. Start it, then {restart}.",
  },
  {
    id: "postgres-cannot-connect",
    any: words(`
      could not connect to server | is the server running on host | is the server running locally
      connection to server at | connection to server on socket | the database system is shutting down
      the database system is starting up | terminating connection due to administrator command
      server closed the connection unexpectedly | postgres is unavailable
    `),
    when: /could not connect|is the server running|connection to server .{0,160}(?:refused|no such file|no route|unreachable)|system is (?:shutting|starting)|administrator command|closed the connection|unavailable/i,
    not: /timed out|could not translate|password|no pg_hba|does not exist/i,
    tier: "symptom",
    cause: "{source} cannot reach its PostgreSQL server at {host|the configured address}.",
    fix: "Check the database first (`systemctl status postgresql`, `pg_isready`, or `docker ps`), and the address or socket that {source} uses. Start it, then {restart}.",
  },
  {
    id: "upstream-unavailable",
    any: words(`
      connect() failed (111 | no live upstreams | has no server available | no server is available to handle
      upstream prematurely closed | ah01114 | ah00957 | ah01079 | recv() failed (104 | no healthy upstream | dial tcp
      dial unix | connect() to | dialing backend | no endpoints available | no upstreams available
      attempt to connect to
    `),
    when: /\(111|no live upstreams|no server (?:is )?available|prematurely closed|AH01114|AH00957|AH01079|\(104|no healthy upstream|dial (?:tcp|unix) .{0,160}(?:refused|no such file|no route|unreachable|connection reset)|connect\(\) to unix:.{1,160}\(2: no such|no (?:endpoints|upstreams) available|attempt to connect to .{1,120}failed/i,
    not: /lookup|timed ?out/i,
    tier: "likely",
    cause: "The service behind {source}, {host|its upstream}, is down or does not accept connections.",
    fix: "Check the service that {source} forwards to ({host|see the line}): is it running, does it listen there? Start it; {source} itself then needs nothing more.",
  },
  {
    id: "message-broker-unreachable",
    any: words(`
      broker may not be available | brokerunreachableexception | none of the specified endpoints were reachable
      connection to node | bootstrap broker | nobrokersavailable | amqpconnectionerror
      connection_forced | could not connect to any servers | all brokers down | all broker connections are down
      no brokers available | unable to connect to zookeeper | connection to broker | connect to amqp
      kafka: client has run out of available brokers | ran out of available brokers
      disconnected while requesting apiversion
      keepererrorcode = connectionloss | can't reach database server | can't contact ldap server | connectionloss for
    `),
    not: /authentication|access_refused|timed out|no resolvable|ssl routines|certificate/i,
    tier: "symptom",
    cause: "{source} cannot reach its message broker at {host|the configured address}.",
  },
  {
    id: "search-unreachable",
    any: words(`
      no living connections | no nodes available | nonodeavailableexception
      none of the configured nodes are available | unable to retrieve version information from elasticsearch
      unable to revive connection | elasticsearch unreachable | no alive nodes | host unreachable error
    `),
    tier: "likely",
    cause: "{source} cannot reach Elasticsearch at {host|the configured address}.",
  },
  {
    id: "redis-mongo-unreachable",
    any: words(`
      mongonetworkerror | mongoserverselectionerror | serverselectiontimeouterror | failed to connect to server [
      couldn't connect to server | connection to redis | redis connection | error connecting to redis
      error 111 connecting | could not connect to redis | no primary available | no servers available
      no suitable servers found | redisconnectionexception | server selection error | connection with master lost
      error condition on socket for sync | master is currently unable | master_link_status:down | clusterdown
    `),
    when: /mongo|failed|error|could ?n[o']t|lost|down|refused|unable|no (?:primary|servers|suitable)|exception/i,
    not: /auth|password|timed out$|ENOTFOUND|EAI_AGAIN|name resolution|certificate|timed out after/i,
    tier: "symptom",
    cause: "{source} cannot reach its database at {host|the configured address}.",
  },
  {
    id: "docker-daemon-down",
    any: words(`
      cannot connect to the docker daemon | is the docker daemon running | failed to connect to the docker api
      failed to dial "/run/containerd | containerd.sock
    `),
    when: /docker daemon|docker api|containerd\.sock.{0,120}(?:refused|no such file|unavailable|connect)|failed to dial/i,
    not: /permission denied/i,
    tier: "likely",
    cause: "{source} cannot reach the container daemon: it is not running.",
    fix: "Look at the daemon with `systemctl status docker containerd` and `journalctl -u docker`, start it with `systemctl start docker`, then {restart} ({source}).",
  },
  {
    id: "kubernetes-api-unreachable",
    any: words(`
      the connection to the server | unable to connect to the server | failed to contact api server
      couldn't get current server api group list | failed to list *v1 | error getting node
      unable to update node status
    `),
    when: /did you specify the right host|unable to connect|contact|refused|unreachable|no route/i,
    not: /x509|i\/o timeout|timed out/i,
    tier: "symptom",
    cause: "{source} cannot reach the Kubernetes API server at {host|its address}.",
  },
  {
    id: "connection-reset",
    any: words(`
      connection reset by peer | econnreset | connection reset | broken pipe | epipe | socket hang up
      connection closed by remote host | connection aborted | connection was forcibly closed
      kex_exchange_identification | unexpected eof while | remote end closed connection
      server has closed the connection | connection closed unexpectedly | transport is closing | connection lost
    `),
    not: /\binfo\b(?!['"]:)|\bdebug\b|from client|client disconnected|client prematurely|invalid user|preauth/i,
    tier: "symptom",
    cause: "{host|The other side} closed the connection of {source}.",
    fix: "Look at the log of the other side ({host|the service that {source} talks to}) at that time: it ended the connection. When it is healthy, {restart}.",
  },
  {
    id: "unreachable-generic",
    any: words(`
      failed to connect to | could not connect to | unable to connect to | cannot connect to | can't connect to
      failed connecting to | error connecting to | couldn't connect to | connection to the remote | is unreachable
      not reachable | unreachable | service unavailable | 503 service | 502 bad gateway | bad gateway
      connection could not be established | connection failed | host unreachable
      failed to establish a new connection | connection attempt failed | no connection could be made
    `),
    not: /timed? ?out|certificate|handshake|password|auth|resolve|lookup|unknown host|permission|name or service|\bdebug\b|x509|unreachable code|too many/i,
    tier: "symptom",
    cause: "{source} cannot reach {host|a service that it needs}.",
  },
  {
    id: "nfs-server-down",
    any: words(`
      nfs: server | not responding, still trying | mount.nfs: connection refused | mount.nfs: no route
      rpc: program not registered | mount error(113)
      mount error(111) | mount error(112) | mount error(115) | mount error(101) | clnt_create: rpc
    `),
    when: /not responding|refused|no route|not registered|mount error|clnt_create|not supported/i,
    not: /nfs: server .{1,80} OK|version or transport/i,
    tier: "likely",
    cause: "The file server {host|} does not answer.",
    fix: "Check the file server ({host|see the line}: `showmount -e`, `rpcinfo -p`) and the network to it; {source} goes on when it is back, or after a new mount.",
  },
]);
