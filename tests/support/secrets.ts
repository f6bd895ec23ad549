/** Characters of one kind, in an order that looks like nothing: what a secret's random part is made of. */
function run(alphabet: string, length: number): string {
  let out = "";
  for (let at = 0, state = 7; at < length; at++) {
    state = (state * 48_271) % 2_147_483_647;
    out += alphabet.charAt(state % alphabet.length);
  }
  return out;
}

const HEX = "0123456789abcdef";
const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ALNUM = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const URL_SAFE = `${ALNUM}0123456789`;

/** A secret of a real shape. It is put together here, so that no scanner takes this file for a leak. */
export interface SecretCase {
  readonly mark: string;
  readonly secret: string;
}

const one = (mark: string, ...parts: string[]): SecretCase => ({ mark, secret: parts.join("") });

/** One of each shape that providers hand out. */
export const SECRETS: readonly SecretCase[] = [
  one("aws-key", "AK", "IA", run(UPPER, 16)),
  one("aws-key", "AS", "IA", run(UPPER, 16)),
  one("github-token", "gh", "p_", run(ALNUM, 36)),
  one("github-token", "gh", "o_", run(ALNUM, 36)),
  one("github-token", "gh", "u_", run(ALNUM, 36)),
  one("github-token", "gh", "s_", run(ALNUM, 36)),
  one("github-token", "gh", "r_", run(ALNUM, 36)),
  one("github-token", "github", "_pat_", run(ALNUM, 22), "_", run(ALNUM, 59)),
  one("gitlab-token", "gl", "pat-", run(URL_SAFE, 20)),
  one("gitlab-token", "gl", "pat-", run(URL_SAFE, 27), ".01.", run(HEX, 9)),
  one("gitlab-token", "gl", "rt-", run(URL_SAFE, 20)),
  one("atlassian-token", "ATA", "TT3", run(URL_SAFE, 180), "=", run(UPPER, 8)),
  one("slack-token", "xox", "b-", run("0123456789", 12), "-", run("0123456789", 12), "-", run(ALNUM, 24)),
  one("slack-token", "xox", "p-", run("0123456789", 12), "-", run(HEX, 32)),
  one("slack-token", "xa", "pp-1-A", run(UPPER, 10), "-", run("0123456789", 13), "-", run(HEX, 64)),
  one("discord-token", "MT", run(ALNUM, 24), ".G", run(ALNUM, 5), ".", run(URL_SAFE, 38)),
  one("telegram-token", run("0123456789", 10), ":A", "A", run(URL_SAFE, 33)),
  one("anthropic-key", "sk-", "ant-", "api03-", run(URL_SAFE, 93), "AA"),
  one("openrouter-key", "sk-", "or-", "v1-", run(HEX, 64)),
  one("openai-key", "sk-", "proj-", run(URL_SAFE, 74)),
  one("openai-key", "sk-", run(ALNUM, 48)),
  one("huggingface-token", "h", "f_", run(ALNUM, 34)),
  one("model-key", "gs", "k_", run(ALNUM, 52)),
  one("google-key", "AI", "za", run(URL_SAFE, 35)),
  one("google-token", "ya", "29.", run(URL_SAFE, 120)),
  one("google-token", "GOC", "SPX-", run(URL_SAFE, 28)),
  one("azure-secret", run(ALNUM, 3), "8", "Q~", run(ALNUM, 34)),
  one("digitalocean-token", "dop", "_v1_", run(HEX, 64)),
  one("heroku-key", "HR", "KU-", run(HEX, 36)),
  one("vault-token", "hv", "s.", run(ALNUM, 24)),
  one("vault-token", "hv", "b.", run(URL_SAFE, 90)),
  one("terraform-token", run(ALNUM, 14), ".atlas", "v1.", run(ALNUM, 67)),
  one("databricks-token", "da", "pi", run(HEX, 32)),
  one("fly-token", "fm", "2_", run(ALNUM, 80)),
  one("tailscale-key", "ts", "key-auth-", run(ALNUM, 12), "-", run(ALNUM, 20)),
  one("doppler-token", "d", "p.st.", run(ALNUM, 43)),
  one("pulumi-token", "pu", "l-", run(HEX, 40)),
  one("supabase-key", "sb", "p_", run(HEX, 40)),
  one("planetscale-token", "psc", "ale_tkn_", run(ALNUM, 43)),
  one("npm-token", "np", "m_", run(ALNUM, 36)),
  one("pypi-token", "py", "pi-", run(URL_SAFE, 160)),
  one("docker-token", "dc", "kr_pat_", run(URL_SAFE, 27)),
  one("rubygems-key", "ruby", "gems_", run(HEX, 48)),
  one("artifactory-key", "AK", "Cp", run(ALNUM, 69)),
  one("stripe-key", "s", "k_live_", run(ALNUM, 24)),
  one("stripe-key", "r", "k_live_", run(ALNUM, 24)),
  one("stripe-key", "wh", "sec_", run(ALNUM, 32)),
  one("twilio-key", "S", "K", run(HEX, 32)),
  one("sendgrid-key", "S", "G.", run(URL_SAFE, 22), ".", run(URL_SAFE, 43)),
  one("mailgun-key", "ke", "y-", run(HEX, 32)),
  one("mailchimp-key", run(HEX, 32), "-u", "s14"),
  one("shopify-token", "shp", "at_", run(HEX, 32)),
  one("newrelic-key", "NR", "AK-", run(UPPER, 27)),
  one("grafana-token", "gl", "sa_", run(ALNUM, 32), "_", run(HEX, 8)),
  one("sentry-token", "sn", "trys_", run(ALNUM, 90)),
  one("postman-key", "PM", "AK-", run(HEX, 24), "-", run(HEX, 34)),
  one("linear-key", "li", "n_api_", run(ALNUM, 40)),
  one("notion-token", "nt", "n_", run(ALNUM, 46)),
  one("opspilot-token", "op", "a_", run(URL_SAFE, 43)),
  one("age-key", "AGE-SECRET", "-KEY-1", run(UPPER, 58)),
  one("jwt", "ey", "J", run(ALNUM, 33), ".ey", "J", run(ALNUM, 60), ".", run(URL_SAFE, 43)),
  // Cut off by the log.
  one("jwt", "ey", "J", run(ALNUM, 33), ".ey", "J", run(ALNUM, 20)),
];

/** The lines between the edges of a private key. */
export const KEY_BODY: readonly string[] = [run(ALNUM, 64), run(ALNUM, 61), `${run(ALNUM, 30)}==`];

/** The edge of an armoured private key: `BEGIN` or `END`. */
export function keyEdge(edge: "BEGIN" | "END", kind = "RSA "): string {
  return `-----${edge} ${kind}PRIV${"ATE KEY"}-----`;
}

/** The second half of an AWS key. */
export const AWS_SECRET = run(`${ALNUM}/+`, 40);
