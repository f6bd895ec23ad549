/** A permission of the app, and what it is for. */
export interface Scope {
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
