import { promises as dns, type MxRecord } from "node:dns";
import type { DnsCheck, DnsType } from "../../config/check-model.ts";
import { errorCode, OpsPilotError } from "../../lib/errors.ts";
import type { Attempt, Finding } from "./model.ts";
import { faultText } from "./words.ts";

const SHOWN_MAX = 5;

/** Asks for the name's addresses as programs of this host do, or for records of a type, of a server where one is named. */
export async function probeDns(check: DnsCheck, attempt: Attempt): Promise<Finding> {
  const { answers: wanted, type } = check;
  attempt.waitsFor("no answer of the DNS");
  try {
    const found = check.type === null && check.server === null ? await addresses(check) : await records(check, attempt);
    const strange = wanted.length === 0 ? [] : found.filter((one) => !wanted.some((other) => isSame(one, other)));
    const text = `resolves to ${shown(found)}`;
    return strange.length === 0
      ? { isWell: true, text }
      : { isWell: false, text: `the name ${text}, not to ${shown(wanted)}` };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isMissing = type !== null && ["ENODATA", "ENOTFOUND"].includes(errorCode(error));
    return { isWell: false, text: isMissing ? `the DNS has no ${type} record of this name` : faultText(error) };
  }
}

async function addresses({ host }: DnsCheck): Promise<string[]> {
  const found = await dns.lookup(host, { all: true });
  return found.map(({ address }) => address);
}

async function records({ host, type, server }: DnsCheck, { signal }: Attempt): Promise<string[]> {
  const resolver = new dns.Resolver({ tries: 2, timeout: 2_000 });
  if (server !== null) resolver.setServers([server]);
  const cancel = () => resolver.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    return type === null ? await eitherFamily(resolver, host) : await recordsOf(resolver, host, type);
  } catch (error) {
    // Of a connection that is refused it is the server's.
    if (error instanceof Error && "code" in error && error.code === "ECONNREFUSED")
      throw new OpsPilotError("dns_unreachable", "the DNS server cannot be reached: connection refused", {
        cause: error,
      });
    throw error;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

async function eitherFamily(resolver: dns.Resolver, host: string): Promise<string[]> {
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = [v4, v6].flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  if (found.length === 0 && v4.status === "rejected") throw v4.reason;
  return found;
}

async function recordsOf(resolver: dns.Resolver, host: string, type: DnsType): Promise<string[]> {
  if (type === "TXT") return (await resolver.resolveTxt(host)).map((parts) => parts.join(""));
  if (type === "MX") return (await resolver.resolveMx(host)).map(({ exchange }: MxRecord) => exchange);
  return (await resolver.resolve(host, type)) as string[];
}

function isSame(one: string, other: string): boolean {
  const plain = (text: string) => text.toLowerCase().replace(/\.$/, "");
  return plain(one) === plain(other);
}

function shown(texts: readonly string[]): string {
  const more = texts.length > SHOWN_MAX ? ` and ${texts.length - SHOWN_MAX} more` : "";
  return texts.toSorted().slice(0, SHOWN_MAX).join(", ") + more;
}
