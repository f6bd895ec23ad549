import { describe, expect, test } from "bun:test";
import { returnPath, signInHref, signInProblem } from "../../src/web/lib/single-sign-on.ts";

const placeOf = (href: string) => {
  const { pathname, searchParams } = new URL(href, "http://ops.test");
  return { path: pathname, query: searchParams };
};
const back = (path: string) => placeOf(`/app/sign-in?sso=denied&return_to=${encodeURIComponent(path)}`);

describe("sign-in at a provider", () => {
  test.each([
    ["/app", "/app"],
    ["/app/incidents/5?q=a%26b", "/app/incidents/5?q=a%26b"],
    ["/app/sign-in", "/app"],
    ["/app/sign-in?sso=expired", "/app"],
  ])("from %s comes back to %s", (from, to) => {
    expect(returnPath(placeOf(from))).toBe(to);
  });

  test.each([
    ["/app/hosts?q=web", "/app/hosts?q=web"],
    ["/app/sign-in", "/app"],
    ["//evil.example.com/app", "/app"],
    ["/\\evil.example.com/app", "/app"],
    ["https://evil.example.com/app", "/app"],
    ["javascript:alert(1)", "/app"],
    ["/apple", "/app"],
    ["/v1/session/oidc", "/app"],
  ])("that went wrong on the way to %s goes on to %s", (wanted, to) => {
    expect(returnPath(back(wanted))).toBe(to);
  });

  test("begins where the provider sends back to", () => {
    const [url, place] = ["https://ops.example.com/v1/session/oidc", placeOf("/app/hosts?q=web")];
    expect(signInHref(url, place, "https://ops.example.com")).toBe(
      "/v1/session/oidc?return_to=%2Fapp%2Fhosts%3Fq%3Dweb",
    );
    expect(signInHref(url, place, "http://10.0.0.1:8080")).toBe("https://ops.example.com/app/hosts?q=web");
  });

  test("tells why it did not work in words of the page alone", () => {
    expect(signInProblem(placeOf("/app/sign-in?sso=unreachable"), "single sign-on")).toStartWith("Single sign-on does");
    for (const made of ["call+1-900", "toString", "__proto__", ""])
      expect(signInProblem(placeOf(`/app/sign-in?sso=${made}`), "Example")).toBeNull();
    expect(signInProblem(placeOf("/app/sign-in"), "Example")).toBeNull();
  });
});
