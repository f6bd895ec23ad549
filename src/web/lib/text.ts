import { markOf, visibleName } from "../../protocol/names.ts";

/** Terminal colours, and whatever else a program draws with. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with a control character
const ANSI = /\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[@-Z\\-_]/g;
/** Marks that turn the direction of text: with them a line shows as another than it is. */
const DIRECTION = /[\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Foreign text as it may be shown: without colours, and with marks that hide something made visible. */
export function visibleText(text: string): string {
  return text.replaceAll(ANSI, "").replaceAll(DIRECTION, markOf).replaceAll(CONTROL, "\u00b7");
}

/** A name that somebody may decide by: also with letters made visible that only look like others. */
export function nameText(name: string): string {
  return visibleName(visibleText(name));
}

/** A part of a text: prose, or a command between backticks. */
export interface TextPart {
  readonly text: string;
  readonly isCode: boolean;
}

/** A fix is prose with commands between backticks. */
export function partsOf(text: string): TextPart[] {
  return text
    .split(/`([^`\n]+)`/)
    .map((part, at) => ({ text: part, isCode: at % 2 === 1 }))
    .filter((part) => part.text !== "");
}

/** The commands of a fix, each once. */
export function commandsOf(text: string): string[] {
  const found = partsOf(text).filter(({ isCode }) => isCode);
  return [...new Set(found.map((part) => part.text).filter((code) => code.includes(" ")))];
}

/** The first sentence, and what follows it. */
export function firstSentence(text: string): { first: string; rest: string } {
  const match = /^([\s\S]{20,240}?[.!?])(?:\s+)(?=\S)([\s\S]*)$/.exec(text.trim());
  return match ? { first: match[1] ?? "", rest: match[2] ?? "" } : { first: text.trim(), rest: "" };
}

/** A size as people say it: "1.2 GB" for 1.2 × 2³⁰. */
export function sizeWords(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** "1 host", "2 hosts". */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** A pattern over a whole text as a regular expression: `*` is any characters, `?` is one. */
export function globOf(pattern: string, flags = ""): RegExp {
  const text = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll(/\*+/g, ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${text}$`, `s${flags}`);
}
