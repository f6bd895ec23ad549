/** How one kind of secret looks by itself, without a name beside it. */
export interface SecretShape {
  /** What the mark says: `[redacted:github-token]`. */
  readonly mark: string;
  /** Texts of which one must occur for the pattern to be tried at all: most logs have none of them. Empty: always tried. */
  readonly hints: readonly string[];
  /**
   * Where the pattern has a group, only what comes after the group is replaced. An unbounded run is the last thing that is
   * asked for, or what follows it is optional: then a failed try costs no more than the run's minimum, and the whole is linear.
   */
  readonly pattern: RegExp;
}

const shape = (mark: string, hints: readonly string[], pattern: RegExp): SecretShape => ({ mark, hints, pattern });

/** AWS: an access key's id, and the secret that is written beside it. */
const AWS: readonly SecretShape[] = [
  shape(
    "aws-secret",
    ["AKIA", "ASIA"],
    /((?:AKIA|ASIA)[A-Z0-9]{16}(?:[^A-Za-z0-9+/\r\n]{1,8}[A-Za-z_ -]{0,30})?[^A-Za-z0-9+/\r\n]{1,8})[A-Za-z0-9+/]{40,}/g,
  ),
  shape("aws-key", ["AKIA", "ASIA", "ABIA", "ACCA", "A3T"], /(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,}/g),
  shape("aws-key", ["ABSK"], /ABSK[A-Za-z0-9+/]{100,}={0,2}/g),
];

const FORGES: readonly SecretShape[] = [
  shape(
    "github-token",
    ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
    /gh[pousr]_[A-Za-z0-9_]{30,}(?:\.[A-Za-z0-9_-]{10,}){0,4}/g,
  ),
  shape("github-token", ["github_pat_"], /github_pat_[A-Za-z0-9_]{22,}/g),
  shape(
    "gitlab-token",
    ["gl"],
    /gl(?:pat|oas|rt|rtr|cbt|ptt|ft|soat|dt|agent|imt|ffct|wt)-[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]{2,}){0,4}/g,
  ),
  shape("gitlab-token", ["GR1348941"], /GR1348941[A-Za-z0-9_-]{20,}/g),
  shape("atlassian-token", ["ATATT3", "ATBB", "ATCTT3"], /(?:ATATT3|ATCTT3|ATBB)[A-Za-z0-9_=-]{28,}/g),
];

const CHATS: readonly SecretShape[] = [
  shape("slack-token", ["xox"], /xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}/g),
  shape("slack-token", ["xapp-"], /xapp-[0-9]-[A-Za-z0-9-]{10,}/g),
  shape(
    "slack-webhook",
    ["hooks.slack"],
    /(hooks\.slack(?:-gov)?\.com\/(?:services|workflows|triggers)\/)[A-Za-z0-9_/-]{8,}/g,
  ),
  shape("discord-webhook", ["/api/webhooks/"], /(discord(?:app)?\.com\/api\/webhooks\/)[0-9]{5,}\/[A-Za-z0-9_-]{20,}/g),
  shape("discord-token", ["."], /[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}/g),
  shape("teams-webhook", ["webhook.office.com"], /(webhook\.office\.com\/webhookb2\/)[A-Za-z0-9@/_-]{20,}/g),
  shape("telegram-token", [":AA"], /[0-9]{6,12}:AA[A-Za-z0-9_-]{32,}/g),
];

const MODELS: readonly SecretShape[] = [
  shape("anthropic-key", ["sk-ant-"], /(?<![A-Za-z])sk-ant-[A-Za-z0-9_-]{20,}/g),
  shape("openrouter-key", ["sk-or-"], /(?<![A-Za-z])sk-or-[A-Za-z0-9_-]{20,}/g),
  shape(
    "openai-key",
    ["sk-"],
    /(?<![A-Za-z])sk-(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{20,}(?:T3BlbkFJ[A-Za-z0-9]{0,64})?)/g,
  ),
  shape("huggingface-token", ["hf_", "api_org_"], /(?:hf|api_org)_[A-Za-z0-9]{30,}/g),
  shape("model-key", ["gsk_", "xai-", "pplx-", "r8_"], /(?<![A-Za-z0-9])(?:gsk_|xai-|pplx-|r8_)[A-Za-z0-9]{36,}/g),
];

const CLOUDS: readonly SecretShape[] = [
  shape("google-key", ["AIza"], /AIza[A-Za-z0-9_-]{35,}/g),
  shape("google-token", ["ya29."], /ya29\.[A-Za-z0-9_.-]{20,}/g),
  shape("google-token", ["GOCSPX-", "1//0"], /(?:GOCSPX-|1\/\/0)[A-Za-z0-9_-]{20,}/g),
  shape("azure-secret", ["Q~"], /[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,}/g),
  shape("azure-token", ["AZDO"], /[A-Za-z0-9]{76,84}AZDO[A-Za-z0-9]{4}/g),
  shape("azure-signature", ["sig="], /((?<![A-Za-z])sig=)[A-Za-z0-9%+/_-]{20,}(?:=|%3[dD]){0,2}/g),
  shape("digitalocean-token", ["_v1_"], /do[opr]_v1_[a-f0-9]{40,}/g),
  shape("heroku-key", ["HRKU-"], /HRKU-[A-Za-z0-9_-]{30,}/g),
  shape("vault-token", ["hvs.", "hvb.", "hvr."], /hv[sbr]\.[A-Za-z0-9_-]{20,}/g),
  shape("vault-token", ["s.", "b."], /(?<![A-Za-z0-9_.-])[sb]\.(?=[A-Za-z]{0,23}[0-9])[A-Za-z0-9]{24,}/g),
  shape("terraform-token", [".atlasv1."], /[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{40,}/g),
  shape("databricks-token", ["dapi"], /dapi[a-f0-9]{32,}(?:-[0-9])?/g),
  shape("cloudflare-key", ["v1.0-"], /v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}/g),
  shape("fly-token", ["fm1_", "fm2_", "fo1_", "fm1r_"], /(?:fm1r?|fm2|fo1)_[A-Za-z0-9+/_-]{40,}={0,3}/g),
  shape("tailscale-key", ["tskey-"], /tskey-[A-Za-z0-9]{2,20}-[A-Za-z0-9-]{10,}/g),
  shape("doppler-token", ["dp."], /(?<![A-Za-z0-9])dp\.[a-z]{2,8}\.[A-Za-z0-9._-]{30,}/g),
  shape("pulumi-token", ["pul-"], /pul-[a-f0-9]{40,}/g),
  shape("supabase-key", ["sbp_", "sb_secret_"], /(?:sbp_|sb_secret_)[A-Za-z0-9_-]{20,}/g),
  shape("planetscale-token", ["pscale_"], /pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{30,}/g),
];

const PACKAGES: readonly SecretShape[] = [
  shape("npm-token", ["npm_"], /npm_[A-Za-z0-9]{36,}/g),
  shape("pypi-token", ["pypi-"], /pypi-[A-Za-z0-9_-]{50,}/g),
  shape("docker-token", ["dckr_"], /dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}/g),
  shape("rubygems-key", ["rubygems_"], /rubygems_[a-f0-9]{48,}/g),
  shape("nuget-key", ["oy2"], /(?<![A-Za-z0-9])oy2[a-z0-9]{43,}/g),
  shape("artifactory-key", ["AKCp"], /AKCp[A-Za-z0-9]{60,}/g),
];

const SERVICES: readonly SecretShape[] = [
  shape("stripe-key", ["k_live_", "k_test_"], /[sr]k_(?:live|test)_[A-Za-z0-9]{16,}/g),
  shape("stripe-key", ["whsec_"], /whsec_[A-Za-z0-9+/]{20,}={0,2}/g),
  shape("twilio-key", ["SK", "AC"], /(?<![A-Za-z0-9])(?:SK|AC)[0-9a-f]{32,}/g),
  shape("sendgrid-key", ["SG."], /SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,}/g),
  shape("mailgun-key", ["key-"], /(?<![A-Za-z0-9])key-[0-9a-f]{32,}/g),
  shape("mailchimp-key", ["-us"], /[0-9a-f]{32}-us[0-9]{1,2}/g),
  shape("shopify-token", ["shp"], /shp(?:at|ca|pa|ss|tka)_[a-fA-F0-9]{32,}/g),
  shape("square-token", ["sq0", "EAAA"], /(?:sq0[a-z]{3}-[A-Za-z0-9_-]{22,}|EAAA[A-Za-z0-9_+=-]{60,})/g),
  shape("newrelic-key", ["NRAK-", "NRII-", "NRJS-"], /NR(?:AK|II|JS)-[A-Za-z0-9_-]{19,}/g),
  shape("grafana-token", ["glsa_", "glc_"], /(?:glsa|glc)_[A-Za-z0-9+/_]{32,}={0,2}/g),
  shape("sentry-token", ["sntry"], /sntry[sua]_[A-Za-z0-9+/=_-]{40,}/g),
  shape("postman-key", ["PMAK-"], /PMAK-[a-f0-9]{24}-[a-f0-9]{34,}/g),
  shape("linear-key", ["lin_"], /lin_(?:api|oauth)_[A-Za-z0-9]{32,}/g),
  shape("notion-token", ["ntn_", "secret_"], /(?<![A-Za-z0-9])(?:ntn|secret)_[A-Za-z0-9]{40,}/g),
  shape("1password-token", ["ops_eyJ"], /ops_eyJ[A-Za-z0-9+/_-]{40,}={0,2}/g),
];

/** Shapes of no single provider. */
const COMMON: readonly SecretShape[] = [
  shape("opspilot-token", ["opa_"], /opa_[A-Za-z0-9_-]{40,}/g),
  shape("age-key", ["AGE-SECRET-KEY-", "AGE-PLUGIN-"], /AGE-(?:SECRET-KEY|PLUGIN-[A-Z0-9]{1,20})-1[0-9A-Z]{30,}/g),
  // The dots are optional: a token that the log cut off is still most of a token.
  shape("jwt", ["eyJ"], /eyJ[A-Za-z0-9_-]{17,}(?:\.[A-Za-z0-9_-]*){0,4}/g),
];

/** Every shape, the more specific ones first. */
export const SECRET_SHAPES: readonly SecretShape[] = [
  ...AWS,
  ...FORGES,
  ...CHATS,
  ...MODELS,
  ...CLOUDS,
  ...PACKAGES,
  ...SERVICES,
  ...COMMON,
];
