import { SCOPES } from "./scopes.ts";

/** The manifest of the app to create at api.slack.com: exactly what is used, nothing more. */
export function slackManifest(publicUrl: string | null): Yaml & object {
  const interactivity: Yaml =
    publicUrl === null
      ? { is_enabled: true }
      : { is_enabled: true, request_url: `${publicUrl.replace(/\/+$/, "")}/v1/slack/interactions` };
  return {
    display_information: {
      name: "OpsPilot",
      description: "Incidents of your hosts, decided here",
      background_color: "#1f2937",
    },
    features: { bot_user: { display_name: "OpsPilot", always_online: true } },
    oauth_config: { scopes: { bot: SCOPES.map(({ name }) => name) } },
    settings: {
      interactivity,
      org_deploy_enabled: false,
      socket_mode_enabled: publicUrl === null,
      token_rotation_enabled: false,
    },
  };
}

/** The manifest as YAML, with what each permission is for beside it. Slack's page takes it as it is. */
export function manifestYaml(publicUrl: string | null): string {
  const purposes = new Map(SCOPES.map(({ name, purpose }) => [name, purpose]));
  const lines = yamlOf(slackManifest(publicUrl), "").map((line) => {
    const purpose = purposes.get(line.trim().replace(/^- "(.*)"$/, "$1"));
    return purpose === undefined ? line : `${line} # ${purpose}`;
  });
  return `${lines.join("\n")}\n`;
}

/** What a manifest is made of. */
type Yaml = string | boolean | readonly string[] | { readonly [key: string]: Yaml };

/** JSON's texts are texts of YAML, too. */
function yamlOf(value: Yaml & object, indent: string): string[] {
  return Object.entries<Yaml>({ ...value }).flatMap(([key, one]) => {
    if (typeof one === "string" || typeof one === "boolean") return [`${indent}${key}: ${JSON.stringify(one)}`];
    const inner = `${indent}  `;
    if (isList(one)) return [`${indent}${key}:`, ...one.map((item) => `${inner}- ${JSON.stringify(item)}`)];
    return [`${indent}${key}:`, ...yamlOf(one, inner)];
  });
}

const isList = (value: Yaml): value is readonly string[] => Array.isArray(value);
