import { rulesOf, words } from "./rule.ts";

const FIX =
  "Compare the credentials that {source} is given ({show}) with those that {host|the other side} knows; correct or renew them, then {restart}.";

/** Wrong, missing or expired credentials towards something that the program needs. */
export const AUTHENTICATION = rulesOf("authentication", FIX, [
  {
    id: "postgres-password",
    any: words(`
      password authentication failed for user | peer authentication failed | ident authentication failed
      no password supplied | no pg_hba.conf entry | scram authentication | role " | md5 authentication failed
      sasl authentication failed | fe_sendauth | pg_hba.conf rejects connection
    `),
    when: /authentication failed(?: for user "?(?<user>[^"]{1,64})"?)?|no password supplied|no pg_hba\.conf entry|role "(?<role>[^"]{1,64})" does not exist|scram authentication (?:requires|failed)|fe_sendauth|rejects connection/i,
    tier: "root",
    cause:
      "PostgreSQL does not accept the login of {user|{role|the user}} for {source}: password, role or pg_hba.conf do not fit.",
    fix: "Check user and password that {source} uses against the database (`\\du` in psql; `ALTER ROLE … PASSWORD`), and pg_hba.conf for its address. A password set in the environment counts only when the data directory is first made. Then {restart}.",
  },
  {
    id: "mysql-access-denied",
    any: words(`
      access denied for user | er_access_denied_error | sqlstate[hy000] [1045] | (using password
      er_not_supported_auth_mode | caching_sha2_password | is not allowed to connect to this mysql server
      is not allowed to connect to this mariadb server
    `),
    when: /access denied for user '?(?<user>[^'@]{0,64})|ACCESS_DENIED|\[HY000\] \[1045\]|using password|NOT_SUPPORTED_AUTH|caching_sha2_password.{0,60}(?:cannot|reported error|requires|could)|not allowed to connect/i,
    not: /to database/i,
    tier: "root",
    cause: "MySQL does not accept the login of {user|the user} for {source}.",
    fix: "Check user, host and password that {source} uses against the database (`SHOW GRANTS FOR …`), correct one of the two, then {restart}.",
  },
  {
    id: "mongo-authentication",
    any: words(`
      authentication failed | authenticationfailed | scram authentication failed | auth failed | autherror
      authfailed | authentication failure | command requires authentication | requires authentication | requires auth
      not authorized on admin
    `),
    when: /authentication ?fail(?:ed|ure)|auth ?failed|AuthError|requires auth/i,
    not: /\bsshd?\b.{0,60}pam_unix|permission denied on|pam_unix\(sshd|rhost=|kdc|invalid user/i,
    tier: "cause",
    cause: "The login of {source} at {host|a service that it needs} failed: user or password are not right.",
  },
  {
    id: "redis-authentication",
    any: words(`
      noauth authentication required | wrongpass | err auth | err invalid password | noauth
      client sent auth, but no password is set | invalid username-password pair | auth called without any password
      http basic: access denied | authentication token is no longer valid | unable to auth to master | expired password for user
    `),
    tier: "root",
    cause: "Redis refuses the commands of {source}: the password is missing or wrong.",
    fix: "Compare the password that {source} uses with requirepass or the ACL of Redis (`redis-cli ACL LIST`), correct one of the two, then {restart}.",
  },
  {
    id: "amqp-authentication",
    any: words(`
      access_refused - login was refused | login was refused | authenticationfailureexception | plain login refused
      invalid credentials | bad credentials | badcredentials | error on amqp connection
      possibleauthenticationfailureexception | user ' | probableauthenticationerror
    `),
    when: /login (?:was )?refused|AuthenticationFailure|invalid credentials|bad ?credentials|(?:Possible|Probable)Authentication/i,
    tier: "root",
    cause: "The login of {source} was refused: user or password are not right.",
  },
  {
    id: "kafka-sasl",
    any: words(`
      saslauthenticationexception | sasl_authentication_failed | sasl authentication error
      sasl authentication failed | invalid sasl | unexpected handshake request with client mechanism | login failure
      javax.security.auth.login.loginexception | failed login | failedloginexception
    `),
    when: /sasl|login ?(?:failure|exception)|handshake request|failed ?login/i,
    tier: "cause",
    cause: "The SASL login of {source} at {host|the server} failed.",
  },
  {
    id: "mail-authentication",
    any: words(`
      535 5.7 | 535-5.7 | 535 | authentication credentials invalid | username and password not accepted
      smtp authentication | smtpauthenticationerror | 534 5.7 | 530 5.7 | 530-5.7 | authentication unsuccessful
      5.7.8 | 5.7.0 authentication | authentication required | auth: error | password mismatch
      application-specific password
    `),
    when: /\b53[045][ -](?:\d\.\d|auth|incorrect|username|invalid|login|error)|not accepted|SMTPAuthentication|unsuccessful|authentication (?:required|credentials invalid)|password mismatch|smtp authentication.{0,40}(?:fail|error)|application-specific/i,
    not: /proxy|\binfo\b(?!['"]:)|interactive authentication/i,
    tier: "cause",
    cause: "The mail server {host|} does not accept the login of {source}.",
  },
  {
    id: "ssh-key-refused",
    any: words(`
      permission denied (publickey | permission denied, please try again | host key verification failed
      no supported authentication methods | too many authentication failures
      unable to authenticate, attempted methods | could not read from remote repository
      authentication failed for 'http | could not read username | could not read password
      invalid username or password | invalid username or token | no matching host key
    `),
    tier: "cause",
    cause: "The SSH or Git login of {source} at {host|the server} was refused.",
    fix: "Check which key {source} offers (`ssh -v` as its user) and whether the server knows it; add the key or the token, then {restart}.",
  },
  {
    id: "smb-logon",
    any: words(`
      nt_status_logon_failure | status_logon_failure | nt_status_account_locked | nt_status_password_expired
      nt_status_wrong_password | logon failure | kinit: | preauthentication failed | krb5kdc_err | krb5_
      client not found in kerberos database | clock skew too great | ldap_bind: invalid credentials | ldaperr: dsid
      invalid credentials (49) | key table entry not found | no kerberos credentials | keytab | gss failure
      ticket expired | ldap: error code 49
    `),
    when: /logon_?(?: )?failure|ACCOUNT_LOCKED|PASSWORD|preauth|KRB5|not found in kerberos|clock skew|invalid credentials|data 5[23]|key table entry|no kerberos|keytab.{0,60}(?:not|fail|invalid)|gss failure|ticket expired|error code 49/i,
    tier: "root",
    cause: "The directory or file server {host|} refuses the login of {source}.",
  },
  {
    id: "http-unauthorized",
    any: words(`
      401 unauthorized | http 401 | status 401 | status code 401 | code: 401 | status: 401 | statuscode: 401
      status=401 | code=401 | error 401 | (401) | unauthorized | returned 401 | responded with 401 | statuscode=401
      401 client error | status_code=401 | 401 authorization required
    `),
    when: /\b401\b|unauthorized/i,
    not: /\bGET \/|\bPOST \/|"(?:GET|POST|PUT|HEAD) |pull|manifest|registry|client: \d|unauthorized_client_ip|docker-credential|image/i,
    tier: "likely",
    cause: "{host|A service that {source} calls} answers 401: the credentials are missing, wrong or expired.",
  },
  {
    id: "token-invalid",
    any: words(`
      invalid token | token expired | token has expired | token is expired | expired token | expiredtoken
      invalid_token | jwt expired | tokenexpirederror | invalid api key | invalid_api_key | incorrect api key
      api key not valid | invalid access key | invalidaccesskeyid | signaturedoesnotmatch | invalidclienttokenid
      unrecognizedclientexception | invalid_grant | invalid_client | invalid_auth | token_expired
      expiredtokenexception | unable to locate credentials | nocredentialproviders | no valid credential sources
      could not load credentials | could not load default credentials | could not find default credentials
      credentialsprovidererror | no credentials | missing credentials | token revoked | token_revoked
      authorizationheadermalformed | security token included in the request | permission denied: invalid token
      invalid authentication token | invalid jwt | invalid bearer token | token is invalid | bad token
      token not found | acl not found | authenticationerror | missing client token | invalid client secret
      client secret keys | api key is missing | unauthenticated | not authenticated | invalid personal access token
      token rejected | invalid license
    `),
    not: /unexpected token|csrf|\bGET \/|invalid session token|syntaxerror|unauthenticated user|allow.{0,10}unauthenticated|illegal/i,
    tier: "cause",
    cause: "{host|A service that {source} calls} does not accept its token or key: it is missing, wrong or expired.",
    fix: "Issue a new token or key, or correct the one that {source} is given ({show}), check the clock with `timedatectl`, then {restart}.",
  },
  {
    id: "wrong-password",
    any: words(`
      invalid password | wrong password | incorrect password | bad password | login failed | login incorrect
      login denied | logon failed | invalid user name or password | incorrect username or password
      wrong username or password | bad username or password | authentication error | failed to authenticate
      could not authenticate | unable to authenticate | cannot authenticate | invalid login | ora-01017 | ora-28000
      login failed for user | password has expired | password expired | not authorised | authentication exception
      authorization failed | auth_failed | auth: received control message: auth_failed | wpa: 4-way handshake failed
      pre-shared key may be incorrect | auth error | password is incorrect | missing authentication credentials
      unable to authenticate user | security_exception | failed to login | invalid username | access key
      invalid authentication | credentials rejected | wrong credentials
      error authenticating | invalid role or secret
    `),
    when: /password|log(?:in|on)|authenticat|authori[sz](?:ation failed|ed)|auth_failed|auth error|pre-shared|ORA-|security_exception|invalid username|credentials|access key.{0,60}(?:not exist|invalid|denied)/i,
    not: /failed password for|invalid user (?!name|or )|pam_unix|fail2ban|sshd\[\d{1,9}\]: |keystore|challenges|authentication required|too many|rate|timeout|timed out|pull access|certbot|tls|x509|certificate/i,
    tier: "likely",
    cause: "The login of {source} at {host|a service that it needs} failed: user or password are not right.",
  },
]);
