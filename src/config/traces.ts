import type { Mistakes, RawSettings, SettingName } from "./settings.ts";
import { parsed, type ReadSetting } from "./sources.ts";

/** Where traces go (OTLP over HTTP), with which headers, and what share of them, from 0 to 1. */
export function readTraces(
  raw: RawSettings,
  read: ReadSetting<SettingName>,
  urlOf: (text: string) => string | undefined,
  mistakes: Mistakes,
) {
  const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS } = raw;
  const endpoint = read("OTEL_EXPORTER_OTLP_ENDPOINT", urlOf);
  const headers = read("OTEL_EXPORTER_OTLP_HEADERS", headersOf) ?? {};
  const why = "is needed by OTEL_EXPORTER_OTLP_HEADERS";
  if (OTEL_EXPORTER_OTLP_HEADERS !== undefined)
    mistakes.need("OTEL_EXPORTER_OTLP_ENDPOINT", OTEL_EXPORTER_OTLP_ENDPOINT, why);
  const ratio = read("OTEL_TRACES_SAMPLER_ARG", ratioOf) ?? 1;
  return endpoint === undefined ? null : { endpoint, headers, ratio };
}

/** `name=value` with commas between; values may be percent-encoded, as OpenTelemetry has it. */
function headersOf(text: string): Readonly<Record<string, string>> | undefined {
  const pairs = text.split(",").map((one) => /^\s*([\w-]+)\s*=\s*(\S.*?)\s*$/.exec(one));
  return pairs.every((one) => one !== null)
    ? Object.fromEntries(pairs.map(([, name = "", value = ""]) => [name, decoded(value)]))
    : undefined;
}

function decoded(value: string): string {
  return /%(?![\da-f]{2})/i.test(value) ? value : (parsed(() => decodeURIComponent(value)) ?? value);
}

function ratioOf(text: string): number | undefined {
  return Number(text) <= 1 ? Number(text) : undefined;
}
