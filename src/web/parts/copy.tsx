import { useSignal } from "@preact/signals";
import { useApp } from "../app-context.ts";
import { copyText } from "../lib/clipboard.ts";
import { Icon } from "./icons.tsx";

const DONE_MS = 2_000;

/** Copies text, and says so in its own place. */
export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const { notices } = useApp();
  const isDone = useSignal(false);

  async function copy(): Promise<void> {
    const isCopied = await copyText(text, document);
    if (!isCopied) return notices.warn("The browser does not let this page copy. Mark the text and copy it by hand.");
    isDone.value = true;
    setTimeout(() => {
      isDone.value = false;
    }, DONE_MS);
  }

  return (
    <button type="button" class="button is-quiet copy" onClick={() => void copy()}>
      <Icon name={isDone.value ? "check" : "copy"} size={18} />
      <span aria-live="polite">{isDone.value ? "Copied" : label}</span>
    </button>
  );
}
