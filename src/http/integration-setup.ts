import type { IntegrationKind } from "../integrations/model.ts";
import { unreachable } from "../lib/errors.ts";

/** Where the agents' payloads are taken by HTTP. */
export const ALERTS_PATH = "/v1/alerts";
/** Where Alertmanager's and Grafana's webhooks are. */
export const ALERTMANAGER_PATH = "/v1/integrations/alertmanager";

/** Where jobs tell how they fare, each by its token. */
export const PING_PATH = "/v1/ping";

/** Where an integration sends to, and the lines to paste where it alerts. */
export function integrationSetup(
  kind: IntegrationKind,
  address: string,
  token: string,
): { url: string; setup: string } {
  switch (kind) {
    case "alertmanager": {
      const url = address + ALERTMANAGER_PATH;
      return { url, setup: alertmanagerSetup(url, token) };
    }
    case "cron": {
      const url = `${address}${PING_PATH}/${token}`;
      return { url, setup: cronSetup(url) };
    }
    case "generic": {
      const url = address + ALERTS_PATH;
      return { url, setup: genericSetup(url, token) };
    }
    default:
      return unreachable(kind);
  }
}

function alertmanagerSetup(url: string, token: string): string {
  return `# Alertmanager, in alertmanager.yml:
receivers:
  - name: opspilot
    webhook_configs:
      - url: ${url}
        http_config:
          authorization:
            credentials: ${token}

# Grafana: Alerting, Contact points, Webhook; URL:
#   ${url}/${token}
`;
}

function genericSetup(url: string, token: string): string {
  return `curl -sS ${url} -H 'Authorization: Bearer ${token}' -H "Idempotency-Key: $(uuidgen)" \\
  -d '{"type":"backup","source":"nightly","severity":"critical","message":"the backup failed","hostname":"'"$(hostname)"'"}'
`;
}

function cronSetup(url: string): string {
  return `# In a crontab; what goes on after && tells of success alone:
0 3 * * * /usr/local/bin/nightly && curl -fsS -m 10 --retry 5 -o /dev/null ${url}

# Or with beginning, end, exit status, duration and the last lines of its log:
0 3 * * * opspilot run --ping ${url} -- /usr/local/bin/nightly
`;
}
