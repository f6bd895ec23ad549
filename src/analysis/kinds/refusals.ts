import { rulesOf, words } from "../rules/rule.ts";

const OWNER_FIX =
  "See who owns {path|what it was refused} and with which mode (`ls -lZ`), and which user {source} runs as ({show}). Correct owner or mode (`chown`, `chmod` for that file alone), then {restart}.";
const RIGHT_FIX =
  "See as whom {source} acts ({show}) and what the line says it may not do; give that user, role or profile the one right that is missing, then {restart}.";
const CREDENTIAL_FIX =
  "Compare the key, token or password that {source} is given ({show}) with what {host|the other side} knows; correct or renew it, then {restart}.";
const CERTIFICATE_FIX =
  "Look at the certificate that the line speaks of (`openssl x509 -noout -text -in {file|<file>}`): dates, names, issuer, key. Renew it or give {source} the right authority and key, then {restart}.";

/** Forbidden, in words other than "permission denied". */
export const FORBIDDEN = rulesOf("permission_denied", RIGHT_FIX, [
  {
    id: "wrong-mode-or-owner",
    any: words(`
      bad file mode | file mode | wrong file owner | bad owner | wrong owner | bad ownership | wrong ownership | insecure ownership | insecure permission | insecure mode | unsafe permission | unsafe ownership | unsafe mode | bad permission | wrong permission | incorrect permission | invalid permission | improper permission | permissions are too | too open | too permissive | too liberal | loose permission | permissions on | permissions for | permissions of | world writable | world-writable | writable by others | writable by group | group writable | group-writable | world readable | world-readable | readable by others | writeable by | accessible by | must be owned by | is not owned by | not owned by | is owned by | owned by uid | should be owned | owner of | ownership of | wrong mode | bad mode | mode 0 | should be mode | must be mode | has mode | group or other | group or world | group and others | others to read | other users
    `),
    when: /\b(?:bad|wrong|insecure|unsafe|incorrect|invalid|improper|too (?:open|permissive|liberal|loose)|loose|weak) (?:\w{1,12} )?(?:file )?(?:modes?|owners?|ownership|permissions?)\b|permissions?\b.{0,80}(?:too (?:open|permissive|liberal|wide|loose)|unsafe|insecure|incorrect|invalid|wrong|not (?:safe|secure|restrictive))|\b(?:group|world|other)s?[- ](?:or[- ]\w{1,8}[- ])?(?:writ|read)e?able\b|(?:writ|read)e?able by (?:group|others?|world|everyone|anyone)|accessible (?:by|to) (?:the )?(?:owner only|others|group|other users)|must (?:not )?be owned by|(?:is|are) not owned by|\bis owned by (?:uid |user )?\w|owned by (?:the )?wrong|should (?:be owned|have (?:mode|permissions?))|must (?:be|have) (?:mode|permissions?) 0?\d{3}|mode (?:of )?0?[0-7]{3,4}\b.{0,60}(?:should|must|expected|instead|but)|group (?:or|and) (?:other|world)s?/i,
    not: /private key .{0,40}mismatch|continuing|proceeding anyway|set .{0,20}mode|lock|pid \d/i,
    tier: "cause",
    cause: "{path|A file or directory} has an owner or mode with which {source} does not accept it.",
    fix: OWNER_FIX,
  },
  {
    id: "not-writable",
    any: words(`
      readonly | read-only | not writable | not writeable | isn't writable | unwritable | cannot write to | can't write to | unable to write to | no write access | no write permission | write access | not readable | isn't readable | unreadable | no read access | no access to | cannot access | can't access | not accessible | inaccessible | cannot be written | cannot be read
    `),
    when: /(?:write|modify|update) .{0,30}read-?only (?:database|file|table|replica|transaction|mode)|\b(?:is|are|was) ?n[o']t (?:writ|read)e?able\b|\bunwritable\b|\bunreadable\b|\bno (?:write|read|access) (?:access|permissions?)|\bno (?:access|permissions?) (?:to|for|on)\b|(?:lacks?|without|need|requires?) (?:write|read|access) (?:access|permissions?)|(?:is|are) not accessible (?:by|for|to) (?:the )?(?:user|process|uid|group)/i,
    not: /\burl|http|host|server|network|database is|readable \(yet/i,
    tier: "cause",
    cause: "{source} may not read or write {path|something that it needs}.",
    fix: OWNER_FIX,
  },
  {
    id: "refused-by-right",
    any: words(`
      access denied | is denied | was denied | access is denied | not permitted | not allowed | forbidden | not authorized | not authorised | unauthorized to | insufficient permission | insufficient privilege | insufficient access | insufficient rights | insufficient scope | insufficient_scope | insufficientpermissions | lacks permission | lacks the | lack of permission | lacks privilege | missing permission | missing privilege | missing capability | lacks capability | lack the | do not have permission | does not have permission | don't have permission | doesn't have permission | no permission | no privilege | not privileged | unprivileged | not enough privilege | not enough permission | not sufficient | privileges required | privilege required | requires privilege | requires superuser | requires root | needs root | root privileges | superuser | must be root | must be run as | run as root | are you root | you need to be | only root | only the superuser | not superuser | permission problem | permission error | permissions error | permission issue | permissionerror | accessdenied | unauthorizedaccess | notcapable | permission_denied | notallowed | notpermitted | cap_ | setuid | filecaps | capabilities | capability | not in the sudoers | polkit | not authorized to | requires authentication of | denied by policy | blocked by policy | denied by | prohibited | rejected by policy | violates | disallowed | not entitled | policy forbids | seccomp | landlock | apparmor | selinux | requires read access | requires write access | requires net access | requires run access | requires env access | requires all access | sandbox | eacces | eperm | access control
    `),
    when: /\baccess (?:to .{1,60} )?(?:is |was |has been )?denied\b|need to be in the [\w-]{1,30} group|not in the [\w-]{1,30} group|\b(?:is|are|was) not (?:allowed|permitted|authori[sz]ed) (?:to|for|by)\b|\bnot (?:allowed|permitted|authori[sz]ed) to\b|\bforbidden\b|command not allowed|, not allowed\b|super-?user privileges|\binsufficient[ _]?(?:permissions?|privileges?|access|rights|scope|capabilit)|\blacks? (?:the )?(?:required |necessary |needed )?(?:permissions?|privileges?|rights?|capabilit\w{1,4}|role|CAP_\w{3,20})|missing (?:the )?(?:required )?(?:permissions?|privileges?|capabilit\w{1,4}|role|CAP_)|\b(?:do|does|did)(?: not|n't) have (?:the )?(?:\w{1,20} )?(?:permissions?|privileges?|rights|access|capabilit)|\bno (?:permissions?|privileges?|rights)\b|(?:requires?|needs?|must (?:be|have|run as)|run(?:ning)? as|only|are you|you need to be) (?:the )?(?:root|superuser|administrator|super-user|CAP_\w{3,20})\b|\broot (?:privileges|rights|access) (?:are |is )?(?:required|needed)|\bprivileges? (?:are |is )?required|\bNotCapable\b|should have (?:setuid|filecaps)|(?:not|missing|needs?|without) (?:\w{1,8} )?setuid|requires (?:read|write|net|run|env|sys|ffi|all|import) access|PERMISSION_DENIED|(?:capabilit\w{1,4}|CAP_\w{3,20}).{0,60}(?:missing|not (?:available|effective|permitted|set|granted)|denied|required|needed|lack)|denied by (?:policy|the|a|rule|selinux)|(?:blocked|rejected|refused|prohibited|disallowed) by (?:policy|the policy|acl|rule|access control|seccomp|sandbox|kyverno|gatekeeper|opa|admission)|admission webhook .{1,120}denied|seccomp.{0,60}(?:denied|blocked|violation|kill)|not entitled/i,
    not: /\/v2\/|access denied for user|pull access denied|using password|ldap|http basic|publickey|logon|image|here$|not allowed here|(?:is )?not allowed (?:here|in this|inside|within)|origin|cors|\bGET \/|\bPOST \/|"(?:GET|POST|PUT|HEAD) |method not allowed|permissive=1|token|api.?key|credential|password|dropping|dropped root|running as root is not|running (?:this )?as root|mmap|locked memory|connections? not allowed|option|directive|keyword|syntax|bad request|client (?:ip|address)? ?\d|reserved/i,
    tier: "cause",
    cause: "A right, role or capability is missing, or a policy forbids {source} what it tries: {said|see the line}.",
  },
  {
    id: "refuses-root",
    any: words(`
      as root | running as root | run as root | root user | by root | uid 0 | as the root | by the root
    `),
    when: /(?:refus\w{1,4}|cannot|can't|can not|must not|should not|may not|do not|don't|not allowed|not permitted|not supported|will not|won't|never|unable).{0,60}\b(?:as|by|under|with) (?:the )?(?:root\b|user root|uid 0)|\bas root is not\b|root (?:user )?is not (?:allowed|permitted|supported)/i,
    not: /must be run as root|needs? to be|warn/i,
    tier: "cause",
    cause: "{source} refuses to run as root.",
    fix: "Let {source} run as its own user (`User=` in the unit, `user:` for a container) that owns its data, then {restart}.",
  },
  {
    id: "http-forbidden",
    any: words(`403 | status_forbidden | access_denied`),
    when: /\b(?:http|status|code|error|response|returned|got|received|responded|server|failed)[^0-9]{0,30}\b403\b|\b403 (?:client error|forbidden|access)|\(403\)/i,
    not: /"(?:GET|POST|PUT|HEAD|DELETE) |\bGET \/|rate.?limit|pull|manifest|registry|image|:403\b|\bport/i,
    tier: "likely",
    cause: "A service that {source} calls refuses the operation (403): its rights do not allow it.",
    fix: "See as whom {source} calls {host|the service}, and give that identity the right that the line names. Then {restart}.",
  },
]);

/** Who it says it is is not believed: keys, tokens, passphrases. */
export const UNBELIEVED = rulesOf("authentication", CREDENTIAL_FIX, [
  {
    id: "wrong-secret",
    any: words(`
      passphrase | password | passcode | secret | credentials | credential | token | api key | apikey | api-key | access key | license key | auth key | authkey | shared key | preshared | pre-shared | keytab | pin | cookie | login | authentication | authenticate | auth | psk | otp | signature | session key | psk | private key | community string | community name | username | user name | account | bearer | jwt | client id | client_id | service account | hmac | mac check | principal | key id | identity
    `),
    when: /\b(?:pass(?:phrase|word|code|wd)|secrets?|credentials?|tokens?|api[ _-]?key|access key|auth[ _-]?key|(?:pre-?)?shared (?:key|secret)|psk|keytab|pin|login|auth\w{0,12}|otp|hmac|jwt|cookie|community (?:string|name)|username|client[_ ](?:id|secret)|service account|bearer|key id|licen[sc]e key|cluster key|signing key|encryption key|subscription key|session key|account|principal)s?\b.{0,80}\b(?:(?:is|are|was|were|has|have|been) ?(?:n[o']t )?(?:been )?(?:incorrect|wrong|invalid|bad|expired|revoked|rejected|refused|denied|disabled|locked|unknown|missing|not (?:valid|accepted|recogni[sz]ed|match|correct|authori[sz]ed)|mismatch\w{0,4})|incorrect|wrong|mismatch(?:ed)?|invalid|rejected|expired|revoked|(?:does|do|did)(?: not|n't) match|not accepted|not recogni[sz]ed|no longer valid|could not be verified|verification failed|malformed)\b/i,
    not: /csrf|session token|unexpected token|invalid token .{0,20}(?:at|in|'|near)|token .{0,20}at line|session cookie|unauthenticated user|pam_unix|sshd\[\d|failed password for|invalid user (?!name|or )|locale|certificate|x509|\bssl\b|pull access|image|registry|syntax|\bGET \/|"(?:GET|POST|PUT|HEAD) |loc header|authority|author\b|lex|permission denied for|no such file|not set|unset|magic|checksum|too many|\brate|unable to resolve|timed? ?out|refused by|connection refused|authoritative|server failed|cache|illegal/i,
    tier: "cause",
    cause: "The key, token or password that {source} uses is not accepted: {said|it is wrong, missing or expired}.",
  },
  {
    id: "secret-refused",
    any: words(`
      incorrect pass | wrong pass | bad pass | invalid pass | incorrect passphrase | wrong passphrase | invalid credential | bad credential | wrong credential | incorrect credential | invalid token | bad token | wrong token | expired token | invalid api | api key | session key | invalid mac | wrong key | invalid key | wrong key | bad key | incorrect key | invalid auth | bad auth | wrong secret | bad secret | invalid secret | invalid login | bad login | or ) | unknown user | no such user | login failed | login failure | login incorrect | login denied | login refused | logon | failed login | failed to log in | failed to login | cannot log in | could not log in | unable to log in | not logged in | authentication fail | authentication error | authentication was | authentication rejected | authentication required | authentication refused | authentication unsuccessful | authentication denied | auth fail | auth error | failed to auth | failed auth | unable to auth | cannot auth | can't auth | could not auth | couldn't auth | error auth | not authenticated | unauthenticated | unauthorized | unauthorised | notauthenticated | auth_fail | auth-fail | authfail | invalid_grant | invalid_client | access token | refresh token | could not decrypt | decryption failed | cannot decrypt | unable to decrypt | failed to decrypt | no key available with this passphrase | wrong password? | mac mismatch | hmac | bad mac | message authentication | handshake did not complete | invalid signature | signature verification | bad signature | signature mismatch | signature does not match | kerberos | gssapi | gss_ | krb5 | kinit | keytab | ntlm | sasl | eap | radius | tsig | badkey | badsig | bad sig | peer failed to verify | not accepted | rejected our | key rejected | key is not | publickey | hostkey | credential | host key | unknown key | no matching key | sign in | sign-in | re-authenticate | reauth | expired session | session has expired | revoked
    `),
    when: /\b(?:incorrect|wrong|bad|invalid|expired|revoked|unknown|rejected|missing) (?:\w{1,20} )?(?:\w{1,20} )?(?:pass(?:phrase|word|code|wd)?s?|credentials?|tokens?|api[ -]?keys?|auth(?:entication|orization)?|logins?|secret|access key|client_secret|hmac|tsig|sasl|psk|keytab|cookie|user ?name)\b|\blog(?:in|on) (?:has )?(?:failed|failure|incorrect|denied|refused|rejected|unsuccessful)|failed (?:to )?(?:log ?in|log on)|(?:cannot|could not|unable to) log ?in|auth(?:entication|orization)?[ _-]?(?:\w{1,10} )?(?:has |was )?(?:fail(?:ed|ure|s)?|error|rejected|refused|required|unsuccessful|denied)|(?:failed|unable|cannot|can't|could not|couldn't|error) (?:to )?(?:re-?)?auth(?:enticat\w{1,4})?\b|\bnot authenticated\b|\bunauthenticated\b|\bunauthori[sz]ed\b|invalid_(?:grant|client|token)|(?:could not|cannot|can't|unable to|failed to|error) decrypt|decrypt(?:ion)? (?:has )?failed|no key available with this passphrase|\b(?:mac|hmac) (?:check )?(?:mismatch|failed|error)|bad (?:mac|signature)|\bBAD(?:KEY|SIG|TIME)\b|signature (?:verification|check|mismatch|does not match|didn't match|expired)|kerberos.{0,80}(?:fail|error|expired|not found|unknown)|gss\w{0,6}.{0,60}(?:fail|error|no credentials)|key (?:was )?rejected|\((?:wrong|bad|invalid) key\)|check (?:the |your )?(?:registration )?token|invalid MAC\b|(?:bad|invalid|wrong) session key|rejected our (?:key|credentials)|host ?key .{0,40}(?:mismatch|changed|fail|differ)|(?:session|access token|refresh token) (?:has )?expired|re-?authenticate|please (?:log|sign) ?in/i,
    not: /csrf|loc header|session token|unexpected token|token .{0,20}at line|unauthenticated user|pam_unix|sshd\[\d|failed password for|invalid user (?!name|or )|locale|certificate|x509|\bssl\b|pull access|image|registry|syntax|\bGET \/|"(?:GET|POST|PUT|HEAD) |lex|no such file|magic|checksum|too many|\brate|resolve|timed? ?out|connection refused|package|rpm|\bapt\b|gpg(?:check|key| key)|module|repository|kernel|lockdown|firmware|driver|bad signature trying|not authorized to|permission denied for|illegal|allow.{0,10}unauthenticated|invalid authentication type/i,
    tier: "cause",
    cause:
      "{host|Something that {source} needs} does not accept its key, token or password: it is wrong, missing or expired.",
  },
]);

/** Certificates, in the words of OpenSSL, GnuTLS, NSS, Schannel, rustls, mbed TLS and the JVM. */
export const CERTIFICATES = rulesOf("tls_certificate", CERTIFICATE_FIX, [
  {
    id: "certificate-refused",
    any: words(`
      certificate | x509 | x.509 | pkix | cert | tls | ssl | gnutls | schannel | rustls | mbedtls | wolfssl
    `),
    when: /\b(?:certificate|cert|x\.?509|chain)s?\b.{0,100}(?:expired|not (?:yet )?valid|invalid|untrusted|not trusted|unknown (?:ca|issuer|authority)|self[- ]signed|revoked|mismatch|does(?: not|n't) match|verif\w{1,10} (?:failed|error)|not be verified|rejected|bad|no issuer|unable to (?:get|verify)|NotValidForName|is for a different|wrong (?:host|name)|NotValidYet|UnknownIssuer)|(?:expired|invalid|untrusted|bad|unknown|unverifiable|self[- ]signed|revoked|wrong) (?:\w{1,10} )?(?:certificate|cert)\b|(?:fail\w{0,3}|unable|cannot|could not|error) (?:to )?(?:verif\w{1,4}|validat\w{1,4}) (?:the )?(?:\w{1,10} )?(?:\w{1,10} )?(?:certificate|cert|chain)|verify error|\bpkix\b|(?:tls|ssl|gnutls|schannel|rustls|mbedtls|wolfssl)\b.{0,60}(?:handshake.{0,40}(?:fail|error)|alert|bad record|verify fail|internal error|no shared cipher|unknown ca|certificate)|fatal alert|no (?:shared|common) cipher|no (?:common|supported) (?:tls |protocol )?versions?|peer did not return a certificate|certificate .{1,60}did not match|certificate required|no application protocol|chain too long/i,
    not: /skip|disabled|generat(?:ed|ing)|timed? ?out|connection reset|connection refused|: EOF$|no such file|permission denied|does not exist|certbot|acme|\binfo\b(?!['"]:)|websocket|deprecated|will expire|valid for|not found|cannot open|could not (?:open|read|load)|pull|using (?:a )?self|renewed|\brate|\bpsk\b/i,
    tier: "cause",
    cause: "A TLS certificate or handshake of {source} with {host|the other side} is refused: {said|see the line}.",
  },
  {
    id: "certificate-unusable",
    any: words(`
      certificate | private key | .pem | .crt | .key | .p12 | .pfx | keystore | truststore | pkcs | pem | asn1 | asn.1 | der
    `),
    when: /(?:certificate|private key|\.pem|\.crt|\.key|\.p12|\.pfx|keystore|truststore|key pair|keypair)\b.{0,120}(?:does(?: not|n't) match|mismatch|bad (?:password|decrypt|base64)|malformed|not (?:a )?valid|invalid|cannot be (?:parsed|decoded|used)|unable to parse|could not (?:parse|decode|be parsed)|no (?:certificate|key|pem) (?:data|found)|too (?:small|weak|short)|unsupported (?:key|format|type)|was tampered|is empty|wrong tag|unexpected (?:tag|eof))|(?:fail\w{0,3}|unable|cannot|could not|couldn't|error) (?:to )?(?:pars\w{1,4}|decod\w{1,4}|us\w{1,4}|import\w{0,4}) (?:the )?(?:\w{1,12} )?(?:\w{1,12} )?(?:\w{1,12} )?(?:certificate|private key|keystore|pem|key pair|pkcs)|no start line|bad end line|bad base64|PEM_read|keystore (?:password)|ee key too small|md too weak/i,
    not: /no such file|permission denied|does not exist|not found|ssh|publickey|host key|deprecated|jwt/i,
    tier: "cause",
    cause: "{source} cannot use its certificate or key {path|file}: the content is not what it should be.",
  },
]);
