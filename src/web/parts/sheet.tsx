import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Icon } from "./icons.tsx";

interface SheetOptions {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}

/** Rises from below on a phone, stands in the middle on a desktop. Escape and a press beside it close it; the focus goes back. */
export function Sheet({ title, onClose, children }: SheetOptions) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();

  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus({ preventScroll: true });
    };
  }, []);

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog, which the browser tells by `close`
    <dialog
      ref={dialog}
      class="sheet"
      aria-labelledby={titleId}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div class="sheet-body">
        <header class="sheet-head">
          {/* Where the reading begins, so that no key pressed in haste does anything. */}
          <h2 id={titleId} tabIndex={-1} autofocus>
            {title}
          </h2>
          <button type="button" class="button is-quiet is-square" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
