import { CloneType, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { type DescribedRoute, describeApi } from "./openapi.ts";
import { openapiPage, PAGE_POLICY } from "./openapi-page.ts";
import { AnyObject, answers } from "./schemas.ts";

const Page = Type.String({ contentMediaType: "text/html" });

export interface OpenapiRoutesDeps {
  /** All routes of the app; asked when the first request comes, when all are there. */
  routes: () => readonly DescribedRoute[];
  version: string;
}

/** The API described for programs, and a plain page for people. */
export function openapiRoutes({ routes, version }: OpenapiRoutesDeps) {
  const tags = ["system"];
  let document: Record<string, unknown> | undefined;
  const described = () => {
    document ??= describeApi(routes(), version);
    return document;
  };
  return new Elysia({ name: "openapi", normalize: false })
    .get("/openapi/json", described, {
      response: answers(200, CloneType(AnyObject)),
      detail: { tags, summary: "This description" },
    })
    .get(
      "/openapi",
      ({ set }) => {
        set.headers["content-type"] = "text/html; charset=utf-8";
        set.headers["content-security-policy"] = PAGE_POLICY;
        return openapiPage(described(), version);
      },
      { response: answers(200, Page), detail: { tags, summary: "The API on one page" } },
    );
}
