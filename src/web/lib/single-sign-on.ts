import type { Place } from "./router.ts";

/** What came of a sign-in at the provider, by the word in the address: a text from there is never shown. */
const WORDS: Readonly<Record<string, (provider: string) => string>> = {
  denied: (provider) => `You were not signed in: ${provider} says no.`,
  no_role: (provider) =>
    `${provider} knows you, but none of your groups has a role here. Ask whoever runs OpsPilot for one.`,
  expired: () => "That sign-in took too long, was used before, or was begun in another browser. Try again.",
  unreachable: (provider) => `${provider} does not answer. Try again later, or sign in with a token.`,
  failed: (provider) =>
    `The answer of ${provider} does not prove who you are; the server's log says why. Try again, or sign in with a token.`,
  unavailable: () => "The server's database cannot be reached just now. Try again in a moment.",
};

/** Why nobody is signed in; null where nothing went wrong. */
export function signInProblem({ query }: Place, provider: string): string | null {
  const reason = query.get("sso");
  if (reason === null || !Object.hasOwn(WORDS, reason)) return null;
  const text = WORDS[reason]?.(provider) ?? "";
  return (text[0] ?? "").toUpperCase() + text.slice(1);
}

/** Where in the page one is to come back to. */
export function returnPath({ path, query }: Place): string {
  if (path !== "/app/sign-in") return query.size === 0 ? path : `${path}?${query}`;
  const base = "http://page.invalid";
  const url = URL.parse(query.get("return_to") ?? "", base);
  const isOurs = url?.origin === base && /^\/app(\/|$)/.test(url.pathname) && url.pathname !== "/app/sign-in";
  return isOurs ? url.pathname + url.search : "/app";
}

/** Where one signs in at the provider: it leads back to the server's public address, so it has to begin there. */
export function signInHref(url: string, place: Place, ownOrigin: string): string {
  const { origin } = new URL(url);
  const path = returnPath(place);
  return origin === ownOrigin ? `${new URL(url).pathname}?return_to=${encodeURIComponent(path)}` : origin + path;
}
