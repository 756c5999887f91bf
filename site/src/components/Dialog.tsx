import { useId, useLayoutEffect, useRef, type ReactNode } from "react";

interface Props {
  title: string;
  /** Called by Escape, too; the parent then renders the dialog no more. */
  onClose: () => void;
  children: ReactNode;
}

/** A modal dialog, open while it is rendered. Its first field gets the focus, which goes back to the opener. */
export function Dialog({ title, onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();

  // Before the element goes: only a dialog that is closed in the page gives the focus back.
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);

  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={heading}
      onClose={(event) => {
        // The event comes late: the same element may have been opened again.
        if (event.target === event.currentTarget && !event.currentTarget.open) onClose();
      }}
    >
      <h2 id={heading} className="dialog-title" dir="auto">
        {title}
      </h2>
      {children}
    </dialog>
  );
}
