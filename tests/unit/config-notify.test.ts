import { describe, expect, test } from "bun:test";
import { readNotify } from "../../src/config/notify.ts";

const SECRET = "hunter2hunter2";

describe("NOTIFY", () => {
  test("holds URLs with blanks, commas or new lines between, though hours have blanks and commas, too", () => {
    const hours = "hours=mon-fri 08:00-18:00 Europe/Berlin";
    const text = `ntfy://me:p%40ss@ntfy.example.com:8443/ops?min=warning&${hours}&scheme=http,\n gotify://push.example.com/a/b telegram://1:x@telegram?chats=-5&name=night`;
    const { entries, mistakes } = readNotify(text, []);
    expect(mistakes).toEqual([]);
    expect(entries.map(({ url }) => ({ ...url, params: [...url.params] }))).toEqual([
      {
        name: "ntfy",
        scheme: "ntfy",
        user: "me",
        password: "p@ss",
        host: "ntfy.example.com",
        port: 8443,
        segments: ["ops"],
        params: [["scheme", "http"]],
      },
      {
        name: "gotify",
        scheme: "gotify",
        user: "",
        password: "",
        host: "push.example.com",
        port: null,
        segments: ["a", "b"],
        params: [],
      },
      {
        name: "night",
        scheme: "telegram",
        user: "1",
        password: "x",
        host: "telegram",
        port: null,
        segments: [],
        params: [["chats", "-5"]],
      },
    ]);
    expect(entries[0]?.routing).toMatchObject({ min: "warning", hours: expect.anything() });
  });

  test("names what is wrong by the outlet's place, all at once, and nothing of a URL", () => {
    const text = [
      `ntfy://${SECRET}@host/topic`,
      `ntfy://${SECRET}@host/other`,
      `gotify://host/${SECRET}%zz`,
      `discord://${SECRET}@1?min=loud`,
      `matrix://${SECRET}@169.254.169.254/room`,
      `teams://host:99999/${SECRET}`,
      `webhook://host/${SECRET}?name=a_name_of_far_too_many`,
    ].join(" ");
    const { mistakes } = readNotify(text, ["slack"]);
    expect(mistakes).toEqual([
      "outlet 2: there is another outlet named ntfy: give it one by ?name=",
      "outlet 3: a % is not followed by two hexadecimal digits (write %25 for it)",
      "outlet 4: min: expected info, warning or critical, once",
      "outlet 5: is a link-local address, where clouds keep the credentials of their machines",
      "outlet 6: the port is none",
      "outlet 7: name: expected 1 to 20 small letters, digits and -",
    ]);
    expect(readNotify(SECRET, []).mistakes).toEqual(["outlet 1: expected a URL such as ntfy://host/topic"]);
    expect(readNotify("slack://A/B/C", ["slack"]).mistakes[0]).toContain("another outlet named slack");
  });
});
