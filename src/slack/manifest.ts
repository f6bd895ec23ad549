/** A permission of the app, and what it is for. */
interface Scope {
  readonly name: string;
  readonly purpose: string;
  /** Without it: what does not work. */
  readonly loss: string;
}

/** Every permission that the bot token needs. */
export const SCOPES: readonly Scope[] = [
  { name: "chat:write", purpose: "post messages, edit them, answer in their threads", loss: "nothing can be posted" },
  {
    name: "channels:read",
    purpose: "find a public channel by its name, and see whether the app is in it",
    loss: "a public channel can be named by its id only",
  },
  {
    name: "groups:read",
    purpose: "the same for a private channel",
    loss: "a private channel can be named by its id only",
  },
  {
    name: "channels:history",
    purpose: "after a crash, see in a public channel whether its own message was posted",
    loss: "after a crash a message in a public channel may be posted twice",
  },
  {
    name: "groups:history",
    purpose: "the same in a private channel",
    loss: "after a crash a message in a private channel may be posted twice",
  },
  {
    name: "users:read",
    purpose: "see who pressed a button: guests, bots and other workspaces may not",
    loss: "no button works: who presses it cannot be checked",
  },
  { name: "files:write", purpose: "put logs into a thread as a file", loss: "long logs cannot be shown" },
];

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
