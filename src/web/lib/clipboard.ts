/** Puts text on the clipboard; false where the browser does not let us. On plain http there is only the old way. */
export async function copyText(text: string, document: Document): Promise<boolean> {
  const { clipboard } = navigator as { clipboard?: Clipboard };
  if (clipboard !== undefined) {
    const isDone = await clipboard.writeText(text).then(
      () => true,
      () => false,
    );
    if (isDone) return true;
  }
  return copyBySelection(text, document);
}

function copyBySelection(text: string, document: Document): boolean {
  const area = document.createElement("textarea");
  const focused = document.activeElement;
  // Inside an open dialog, since all outside of it can take no focus.
  const place = focused?.closest("dialog") ?? document.body;
  area.value = text;
  area.className = "off-screen";
  area.setAttribute("aria-hidden", "true");
  place.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  return isDone;
}
