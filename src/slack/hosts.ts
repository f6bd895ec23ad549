/** Where Slack itself answers; the second is the one for governments. */
const SLACK_DOMAINS = ["slack.com", "slack-gov.com"];

/**
 * Whether an address that came in a message may be called: on Slack's own hosts over TLS, or where SLACK_API_URL points.
 * Anything else would let whoever forges a message make this server call them.
 */
export function isSlackUrl(text: string, apiUrl: string | null): boolean {
  const url = URL.parse(text);
  if (!url || url.username + url.password !== "") return false;
  if (apiUrl !== null && url.origin === new URL(apiUrl).origin) return true;
  const isOfSlack = SLACK_DOMAINS.some((domain) => url.hostname === domain || url.hostname.endsWith(`.${domain}`));
  return url.protocol === "https:" && url.port === "" && isOfSlack;
}
