/** Notices: short messages about what has just happened, read aloud, with an action such as "Undo". */

import { createContext, useCallback, useContext, useRef, useState, type ReactNode } from "react";
import { useText } from "../i18n/language";

/** Long enough to read and to reach the button by keyboard; WCAG 2.2.1 asks for 20 s where it acts. */
const SHOWN_MS = 20_000;

interface Notice {
  text: string;
  kind?: "done" | "problem";
  action?: { label: string; run: () => void };
}

const NoticeContext = createContext<((notice: Notice) => void) | null>(null);

export function NoticeProvider({ children }: { children: ReactNode }) {
  const text = useText();
  const [notice, setNotice] = useState<Notice | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  const show = useCallback((shown: Notice) => {
    clearTimeout(timer.current);
    setNotice(shown);
    timer.current = setTimeout(() => setNotice(null), SHOWN_MS);
  }, []);

  return (
    <NoticeContext value={show}>
      {children}
      <div className="notices" role="status">
        {notice && (
          <div className={`notice ${notice.kind ?? "done"}`}>
            <span>{notice.text}</span>
            {notice.action && (
              <button
                className="button small"
                onClick={() => {
                  notice.action?.run();
                  setNotice(null);
                }}
              >
                {notice.action.label}
              </button>
            )}
            <button className="icon-button" aria-label={text.close} onClick={() => setNotice(null)}>
              ×
            </button>
          </div>
        )}
      </div>
    </NoticeContext>
  );
}

/** Function that shows a notice. */
export function useNotice(): (notice: Notice) => void {
  const show = useContext(NoticeContext);
  if (!show) throw new Error("NoticeProvider is missing");
  return show;
}
