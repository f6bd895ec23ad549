import { rulesOf, words } from "./rule.ts";

const FIX =
  "See who owns {path|what it was refused} (`ls -lZ`) and which user {source} runs as ({show}). Give that user the access, for instance by `chown` or a group, then {restart}.";

/** A service refuses what its own rules of access do not allow: databases, brokers, Kubernetes, clouds. */
export const PERMISSION_SERVICES = rulesOf("permission_denied", FIX, [
  {
    id: "kubernetes-forbidden",
    any: words(`
      is forbidden: user | forbidden: user "system: | cannot list resource | cannot get resource
      cannot create resource
    `),
    tier: "cause",
    cause: "Kubernetes' access rules forbid {source} an operation on the API.",
    fix: "See what {source} may do with `kubectl auth can-i --list --as <its service account>`, then bind a role with the missing verb to its service account.",
  },
  {
    id: "kubernetes-pod-security",
    any: words(`
      violates podsecurity | unable to validate against any security context constraint
      container has runasnonroot and image will run as root
      container has runasnonroot and image has non-numeric user
    `),
    tier: "root",
    cause: "The cluster's security policy does not let {source} run as it is defined.",
    fix: "Change the securityContext of {source} to what the policy allows (user, capabilities, host access), then apply it again.",
  },
  {
    id: "database-privilege",
    any: words(`
      permission denied for relation | permission denied for table | permission denied for schema
      permission denied for database | permission denied for sequence | must be owner of | must be superuser
      permission denied to create | permission denied to set | you need (at least one of) the | command denied to user
      not authorized on | noperm | permission denied for function | permission denied for language
      interactive authentication required | is not in the sudoers file | sudo: a password is required | sudo: a terminal is required | must be writable | a password is required | can't be opened in read-write mode
    `),
    tier: "cause",
    cause: "The database role that {source} uses lacks a privilege for {object|what it tries to do}.",
    fix: "As the database's administrator grant the missing privilege to the role that {source} uses (`GRANT …`), then {restart}.",
  },
  {
    id: "mysql-access-denied-database",
    any: words(`access denied for user`),
    when: /access denied for user .{1,120}? to database/i,
    tier: "root",
    cause: "The database user that {source} uses has no rights on its database.",
    fix: "As the database's administrator grant the user of {source} its rights (`GRANT … ON …`), then {restart}.",
  },
  {
    id: "rabbitmq-access-refused",
    any: words(`access_refused - access to | access refused for user | access to vhost`),
    not: /login was refused/i,
    tier: "cause",
    cause: "RabbitMQ refuses the user of {source} access to a virtual host or queue.",
    fix: "Look with `rabbitmqctl list_permissions` and give the user of {source} its rights with `rabbitmqctl set_permissions`, then {restart}.",
  },
  {
    id: "kafka-not-authorized",
    any: words(`
      topicauthorizationexception | groupauthorizationexception | clusterauthorizationexception
      topic_authorization_failed | not authorized to access
    `),
    tier: "cause",
    cause: "The broker's access rules forbid {source} what it tries to do.",
    fix: "List the rules with `kafka-acls --list`, add the missing one for the principal of {source}, then {restart}.",
  },
  {
    id: "cloud-access-denied",
    any: words(`
      accessdenied | access denied | is not authorized to perform | does not have storage. | 403 forbidden
      authorizationfailed | accessdeniedexception
    `),
    when: /accessdenied|not authorized to perform|access denied|does not have storage|403 forbidden/i,
    not: /access denied for user|pull access denied|using password|ldap|login|http basic|nt_status_logon/i,
    tier: "symptom",
    cause: "A service that {source} calls refused the operation: its rights do not allow it.",
    fix: "See as whom {source} calls, and give that identity the right that the line names. Then {restart}.",
  },
]);
