import { rulesOf, words } from "./rule.ts";

const FIX =
  "Look at the certificate with `openssl s_client -connect {host|<host>:443} -showcerts`: dates, names, issuer. Renew it or give {source} the right authority and key, then {restart}.";

/** A certificate is expired, untrusted, for another name, or has the wrong key; the handshake fails because of it. */
export const TLS_CERTIFICATE = rulesOf("tls_certificate", FIX, [
  {
    id: "certificate-expired",
    any: words(`
      certificate has expired | certificate expired | cert_has_expired | certificate is expired
      certificateexpiredexception | certificate is not yet valid | has expired or is not yet valid
      certificatenotyetvalid | sslv3 alert certificate expired | tlsv1 alert certificate expired | expired certificate
      certificate_expired | notafter: | ssl certificate expired | validity check failed | cert expired
      certificate rotation | part of the existing bootstrap client certificate
    `),
    when: /expired|not ?yet ?valid|NotAfter|validity check failed/i,
    tier: "root",
    cause: "A TLS certificate that {source} uses or meets has expired, or is not valid yet.",
    fix: "Renew the certificate (for Let's Encrypt `certbot renew`, for Kubernetes `kubeadm certs renew`) and check the clock with `timedatectl`, then {restart} ({source}).",
  },
  {
    id: "unknown-authority",
    any: words(`
      certificate signed by unknown authority | unable to get local issuer certificate
      unable to verify the first certificate | self signed certificate | self-signed certificate
      unable to get issuer certificate | certificate verify failed | certificate_verify_failed
      pkix path building failed | unable to find valid certification path | pkix path validation failed | unknown ca
      unknown_ca | certificate is not trusted | untrusted certificate | certificate unknown | certificate_unknown
      unable_to_verify_leaf_signature | depth_zero_self_signed_cert | self_signed_cert_in_chain
      remote certificate is invalid | certificate not trusted | trust anchor | not trusted by | unknownissuer
      invalid peer certificate | cert_untrusted | unable_to_get_issuer_cert | partialchain | untrustedroot
      server certificate verification failed | could not verify certificate | unable to verify certificate
      certificate verification failed | issuer certificate | cannot verify | peer certificate cannot be authenticated
      failed to verify certificate | failed to verify client certificate | unknown certificate authority
      certificate verify error | untrusted issuer | ssl certificate problem | certificate authority failed
      peer's certificate issuer
    `),
    when: /certificate|_ca\b|unknown ca\b|pkix|certification path|cert\b|trust|issuer|SELF_SIGNED|UNABLE_TO|chain|root/i,
    not: /skip|verification (?:is )?disabled|insecure|generat(?:ed|ing) .{0,30}self.signed|using (?:a )?self.signed|\binfo\b(?!['"]:)|host key/i,
    tier: "cause",
    cause: "The certificate of {host|the other side} is not trusted: {source} does not know its issuer.",
    fix: "Give {source} the issuer's certificate (`update-ca-certificates` on Debian, `update-ca-trust` on Red Hat, `keytool -importcert` for Java, NODE_EXTRA_CA_CERTS for Node), or let the server send its whole chain. Then {restart}.",
  },
  {
    id: "wrong-name",
    any: words(`
      certificate is valid for | certificate is not valid for | doesn't match any of | does not match certificate's
      err_tls_cert_altname_invalid | hostname mismatch | hostname/ip does not match | does not match target host name
      doesn't contain any ip sans | doesn't contain any ip | legacy common name | relies on legacy common name
      subject alternative name | certnotvalidforname | no subject alternative | no name matching
      certificate name mismatch | common name | does not match server | certificate subject name | altnames
      host name verification | peer name mismatch | server certificate does not match | ip address mismatch
      tls: failed to verify certificate: x509
    `),
    when: /valid for|match|ALTNAME|SANs|legacy common name|no (?:subject|name)|NotValidForName|verification|x509/i,
    not: /\binfo\b(?!['"]:)|ah01909|\bwarn\]/i,
    tier: "cause",
    cause: "The certificate of {host|the server} is made out for another name than the one that {source} uses.",
    fix: "Let {source} use a name that stands in the certificate, or issue one with that name, then {restart}.",
  },
  {
    id: "key-mismatch",
    any: words(`
      key values mismatch | private key does not match | key does not match | x509_check_private_key
      private key mismatch | no private key assigned | certificate and private key | private key file does not match
      does not match the certificate | key and certificate
    `),
    when: /mismatch|does(?:n't| not) match|do not match|check_private_key|no private key/i,
    tier: "root",
    cause: "The certificate and the private key of {source} do not belong together.",
    fix: "Compare the public keys of both files (`openssl x509 -noout -pubkey -in`, `openssl pkey -pubout -in`), give {source} the pair that matches, then {restart}.",
  },
  {
    id: "certificate-unreadable",
    any: words(`
      pem_read_bio | no start line | bad decrypt | pem lib | failed to find any pem data | no certificate or crl found
      unable to load certificate | unable to load private key | bad end line | asn1 encoding routines
      keystore was tampered with | keystore password was incorrect | cannot load certificate | invalid certificate
      ee key too small | ca md too weak | dh key too small | ca key too small
      unable to configure rsa server private key | ah02572 | ah02561 | ah02240 | ah02565
      tls: failed to parse private key | unable to set private key | ssl library error | failed to load tls
      unable to load ssl certificate | unable to load client cert | ssl_ctx_use_certificate | ssl_ctx_use_privatekey
      neither pub key nor priv key | bad base64 decode | invalid pem
    `),
    not: /no such file|permission denied|fopen|does not exist/i,
    tier: "cause",
    cause: "{source} cannot use its certificate or key {path|file}: the content is not what it should be.",
    fix: "Look at {path|the file} with `openssl x509 -noout -text -in` or `openssl pkey -noout -in`; put the right PEM file in place, then {restart} ({source}).",
  },
  {
    id: "handshake-failed",
    any: words(`
      sslhandshakeexception | handshake failure | handshake_failure | ssl handshake failed | tls handshake failed
      handshake failed | tls handshake error | ssl_do_handshake() failed | tls: bad certificate | bad certificate
      bad_certificate | ssl_error_ | ssl_accept | ssl_connect | ssl routines | failed to tls handshake | tls alert
      error:0a000 | error:14094 | error:1408 | secure connection failed | no required ssl certificate was sent
      tls: handshake | did not return a certificate | didn't provide a certificate | wrong version number
      no shared cipher | unsupported protocol | tls_process_
      first record does not look like a tls handshake | crl has expired | no peer certificate
    `),
    when: /handshake|bad.?certificate|ssl_|ssl routines|alert|error:|secure connection|ssl certificate|did ?n[o']t|look like a tls|crl has expired|no peer certificate/i,
    not: /handshake.{0,40}(?:timeout|timed out)|i\/o timeout|: EOF$|websocket|\binfo\b(?!['"]:)|\(SSL: .{0,80}\) while SSL handshaking, client|peer closed|amqp|bad_header|bad header|fcgi|connection reset|no such file|permission denied/i,
    tier: "likely",
    cause: "The TLS handshake between {source} and {host|the other side} fails.",
  },
  {
    id: "acme-failed",
    any: words(`
      failed to renew certificate | some challenges have failed | acme:error | unable to obtain acme certificate
      could not get certificate | failed to obtain certificate | obtaining certificate
      certbot failed to authenticate | attempting to renew cert
    `),
    when: /fail|error|unable|could not/i,
    not: /nxdomain|dns problem|connection refused|timeout during connect|too many certificates|ratelimited/i,
    tier: "likely",
    cause: "A certificate could not be issued or renewed.",
    fix: "Run `certbot renew --dry-run` (or look at the proxy's log) for the reason; the challenge must be reachable from outside. Then {restart} ({source}).",
  },
  {
    id: "certificate-threshold",
    where: "message",
    any: words(`
      certificate expires | certificate expire | certificate will expire | cert expires | tls certificate
      ssl certificate | certificate of
    `),
    when: /expire|days|valid/i,
    tier: "likely",
    cause: "The TLS certificate of {source} is about to expire, or has expired.",
    fix: "Renew the certificate (for Let's Encrypt `certbot renew`), then {restart} ({source}).",
  },
]);
