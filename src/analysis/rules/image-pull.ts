import { rulesOf, words } from "./rule.ts";

const FIX =
  "Try it by hand: `docker pull {image|<image>}` on the host of {source}. Correct name and tag, log in to the registry (`docker login`, or an imagePullSecret), then create {source} again.";

/** A container image cannot be pulled or does not exist. */
export const IMAGE_PULL = rulesOf("image_pull", FIX, [
  {
    id: "image-unknown",
    any: words(`
      manifest unknown | manifest for | pull access denied | repository does not exist
      requested access to the resource is denied | no such image | image not found | failed to resolve reference
      failed to pull image | error pulling image | failed to pull and unpack image | failed to unpack image
      unable to find image | repository name not known | name unknown | tag does not exist | image does not exist
      no matching manifest | manifest invalid | toomanyrequests: you have reached your | pull rate limit
      not found: manifest | error initializing source | unable to pull | failed to pull | pull failed
      failed to do request: head | trying to reuse blob | initializing source docker | reading manifest
      unauthorized: authentication required | failed to fetch anonymous token | failed to authorize | pulling image
      errimageneverpull | is not present with pull policy of never | invalid reference format | error pulling
      docker pull failed | failed to solve | failed to fetch oauth token | failed to register layer
      unexpected status code [manifests | media type | error copying image | imageinspecterror | manifest list entries
      failed to get image
      no basic auth credentials | unexpected status from head request | httpreadseeker | short-name | invalid image name | invalidimagename | no unqualified-search registries | errimagepull | couldn't parse image reference
    `),
    when: /manifest (?:unknown|invalid)|manifest for .{1,200} not found|pull access denied|repository does not exist|access to the resource is denied|no such image|image (?:".{1,200}" |not |does )?(?:not found|does not exist)|not found|failed to resolve reference|fail(?:ed)? to pull|error pulling|unable to find image .{1,200}locally|name (?:unknown|not known)|no matching manifest|toomanyrequests|pull rate limit|initializing source|unable to pull|pull failed|reading manifest .{1,200}(?:unauthorized|denied|unknown|error)|unauthorized: authentication|anonymous token|failed to authorize|NeverPull|pull policy of Never|oauth token|register layer|manifests|ImageInspectError|no match for platform|no basic auth|unexpected status from|httpReadSeeker|unqualified-search|InvalidImageName|parse image reference|invalid reference format/i,
    with: /imag|pull|manifest|registr|docker|repositor|podman|container|blob|layer|reference|\/v2\//i,
    not: /unable to find image .{1,200} locally$|no such host|lookup |x509|certificate|connection refused|no space left|failed to register layer.{0,160}(?:space|operation not permitted)|i\/o timeout.{0,20}$|name resolution|cache key|failed to compute/i,
    tier: "root",
    cause:
      "The image {image|of {source}} cannot be pulled: it does not exist there, or the registry does not give it to this host.",
  },
  {
    id: "image-pull-backoff",
    any: words(`
      imagepullbackoff | errimagepull | back-off pulling image | image pull failed | imagepull | errimageneverpull
    `),
    tier: "likely",
    cause: "The image {image|of {source}} cannot be pulled, and Kubernetes tries again and again.",
    fix: "See the reason under Events of `kubectl describe pod {source}`. Correct name and tag of the image or its imagePullSecret, then apply again.",
  },
  {
    id: "registry-unreachable",
    any: words(`
      error response from daemon: get "https:// | error response from daemon: get https://
      error response from daemon: head "https:// | from daemon: head | from daemon: get | /v2/": | /v2/: | registry-1.docker.io | auth.docker.io
    `),
    when: /(?:\/v2\/|auth\.docker\.io|registry-1\.docker\.io).{0,300}(?:request canceled|timeout|timed out|unauthorized|denied|deadline|forbidden|EOF|reset|TLS handshake)/i,
    not: /no such host|lookup |x509|certificate|connection refused|server gave http response/i,
    tier: "cause",
    cause: "The registry of the image {image|of {source}} does not answer as it should, so the image cannot be pulled.",
  },
  {
    id: "registry-speaks-http",
    any: words(`server gave http response to https client`),
    tier: "cause",
    cause: "The registry speaks plain HTTP where the container engine expects HTTPS, so the image cannot be pulled.",
    fix: "Give the registry a certificate, or list it under insecure-registries of the engine if it is on a trusted network; then create {source} again.",
  },
]);
