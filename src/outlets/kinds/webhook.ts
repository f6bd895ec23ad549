/** A webhook of OpsPilot's own events, as WEBHOOK_URL is one: signed, with an id by which a receiver knows what came twice. */
import { neededPart, ownBase } from "../api-host.ts";
import type { OutletKind } from "../model.ts";

/** Sends events. */
export const webhook: OutletKind = {
  scheme: "webhook",
  form: "webhook://<host>[:port]/<path>?secret=<16 characters or more>[&<the receiver's own parameters>]",
  open(url, deps) {
    const params = new URLSearchParams(url.params);
    const secret = neededPart(params.get("secret") ?? undefined, "secret", /^.{16,}$/);
    for (const own of ["secret", "scheme"]) params.delete(own);
    const path = url.segments.map(encodeURIComponent).join("/");
    const query = params.size === 0 ? "" : `?${params}`;
    return { ...deps.createWebhook({ url: `${ownBase(url)}/${path}${query}`, secret }), outlet: url.name };
  },
};
