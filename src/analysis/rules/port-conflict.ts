import { rulesOf, words } from "./rule.ts";

const FIX =
  "Find who listens on {port|its port} with `{sockets}`. Stop that program, or give {source} another one in its configuration, then {restart}.";

/** The address or port is already taken. */
export const PORT_CONFLICT = rulesOf("port_conflict", FIX, [
  {
    id: "address-in-use",
    any: words(`address already in use | address in use | eaddrinuse | addrinuse`),
    when: /(?:EADDRINUSE|address (?:already )?in use|AddrInUse)/i,
    tier: "root",
    cause: "{source} could not listen: {port|its port} is already taken by another program.",
  },
  {
    id: "docker-port-allocated",
    any: words(`port is already allocated | ports are not available | address already allocated`),
    tier: "root",
    cause: "Docker could not publish {port|a port of the container}: another container or program on the host has it.",
    fix: "See who has {port|the port} with `docker ps` and `{sockets}`. Stop that one or publish {source} on another host port, then {restart}.",
  },
  {
    id: "kubernetes-node-port",
    any: words(`provided port is already allocated | didn't have free ports for the requested pod ports`),
    tier: "root",
    cause: "The node has no free port of the kind that {source} asks for: {port|its port} is taken.",
    fix: "List what uses the port with `kubectl get services,pods -A -o wide`, then give {source} another hostPort or nodePort.",
  },
  {
    id: "java-address-in-use",
    any: words(`java.net.bindexception | port already in use | bindexception: address`),
    not: /permission denied|cannot assign/i,
    tier: "cause",
    cause: "{source} could not bind {port|its port}: it is already in use.",
  },
  {
    id: "port-was-in-use",
    any: words(`
      was already in use | is already in use | already being used | already listening | is in use by another
    `),
    when: /\b(?:web server failed to start\. )?(?:port|address|socket|listener|bind|endpoint|url)\b.{0,80}?(?:already (?:in use|being used|listening)|in use by another)/i,
    not: /name "?\/|container name|user|email|namespace|export|mount/i,
    tier: "cause",
    cause: "{source} cannot have {port|its port}: something else already uses it.",
  },
  {
    id: "another-listens",
    any: words(`
      something is already running on port | already running on port | already listening on port
      already listening on a port
    `),
    tier: "cause",
    cause: "Another program already listens on {port|that {source} wants}.",
  },
  {
    id: "bind-errno-98",
    any: words(`errno=98 | errno 98 | (98) | error 98 | errno: 98 | errno = 98`),
    when: /bind|listen|socket|address/i,
    tier: "cause",
    cause: "{source} could not bind: the system answered that the address is in use (error 98).",
  },
  {
    id: "possible-port-in-use",
    any: words(`port already in use | port is in use | port in use | port is already in use | port is already used`),
    not: /check if|make sure|if the/i,
    tier: "cause",
    cause: "{source} cannot listen because {port|its port} is already in use.",
  },
  {
    id: "gunicorn-connection-in-use",
    any: words(`connection in use: (`),
    tier: "root",
    cause: "gunicorn found its listen address ({port|as configured}) in use by another program.",
  },
  {
    id: "could-not-bind-port",
    any: words(`
      could not bind to address | cannot bind to address | unable to bind to | could not bind ipv4
      could not bind ipv6 | make_sock: could not bind | only one usage of each socket address
      can't start server: bind on tcp/ip port | cannot bind socket | can't bind to
    `),
    not: /permission denied|cannot assign|\(13\)|\(99\)|no such file|not permitted|name or service|getaddrinfo|nodename/i,
    tier: "likely",
    cause: "{source} could not bind {port|its port}; as a rule another program has it.",
  },
  {
    id: "mysql-another-on-port",
    any: words(`
      do you already have another mysqld server running on port | do you already have another server running on
    `),
    tier: "cause",
    cause: "The database cannot have {port|its port}: another mysqld, or another program, already listens there.",
  },
  {
    id: "another-postmaster-on-port",
    any: words(`is another postmaster already running on port`),
    tier: "cause",
    cause: "Another program, probably a second PostgreSQL, already listens on {port|its port}.",
  },
  {
    id: "haproxy-cannot-bind",
    any: words(`cannot bind socket (address already in use) | starting frontend | starting proxy`),
    when: /cannot bind/i,
    not: /permission denied|cannot assign/i,
    tier: "cause",
    cause: "HAProxy cannot bind one of its listeners ({port|see the line}): it is taken.",
  },
]);
