import type { IntegrationKind } from "../integrations/model.ts";
import { unreachable } from "../lib/errors.ts";

/** Where the agents' payloads are taken by HTTP. */
export const ALERTS_PATH = "/v1/alerts";
/** Where Alertmanager's and Grafana's webhooks are. */
export const ALERTMANAGER_PATH = "/v1/integrations/alertmanager";

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
