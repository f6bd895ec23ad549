/**
 * How much a client wants `name` by its header of the form `br;q=1, gzip;q=0.5, *;q=0` (RFC 9110, 12.4.2): from 0, not at
 * all, to 1; undefined where the header says nothing of it. `*` stands for what is not named.
 */
export function qualityOf(header: string | null, name: string): number | undefined {
  const offers = new Map((header ?? "").toLowerCase().split(",").map(readOffer));
  return offers.get(name) ?? offers.get("*");
}

function readOffer(text: string): [name: string, quality: number] {
  const [name = "", ...parameters] = text.split(";").map((part) => part.trim());
  const quality = parameters.find((one) => one.startsWith("q="))?.slice(2);
  return [name, quality === undefined ? 1 : Number.parseFloat(quality) || 0];
}
