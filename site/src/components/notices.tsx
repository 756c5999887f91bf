/** Notices: short messages about what has just happened, read aloud, with an action such as "Undo". */

import { createContext, useCallback, useContext, useEffect, useRef, useState, type FocusEvent, type ReactNode } from "react";
import { useText } from "../i18n/language";

/** Long enough to read and to reach the button by keyboard; WCAG 2.2.1 asks for 20 s where it acts. */
const SHOWN_MS = 20_000;
/** Enough to read that something is done: the page shows it, too, and the notice covers some of it. */
const DONE_SHOWN_MS = 8_000;

export interface Notice {
  text: string;
  kind?: "done" | "problem";
  action?: { label: string; run: () => void };
  /** Called once when the notice goes without its action: closed, timed out or taken away. */
  onEnd?: () => void;
}

/** Takes the notice away before its time. */
export type EndNotice = () => void;

interface Shown extends Notice {
  id: number;
}

const NoticeContext = createContext<((notice: Notice) => EndNotice) | null>(null);

/** True for news that the next notice replaces; a problem is replaced by one without an action alone. */
function isReplaced(shown: Notice, by: Notice): boolean {
  return shown.action === undefined && (shown.kind !== "problem" || by.action === undefined);
}

/** Notices with an action stay beside one another. */
export function NoticeProvider({ children }: { children: ReactNode }) {
  const [notices, setNotices] = useState<readonly Shown[]>([]);
  const shown = useRef<readonly Shown[]>(notices);
  const lastId = useRef(0);

  const keep = useCallback((kept: (notice: Shown) => boolean, added: readonly Shown[] = []) => {
    const ended = shown.current.filter((notice) => !kept(notice));
    shown.current = [...shown.current.filter(kept), ...added];
    setNotices(shown.current);
    for (const notice of ended) notice.onEnd?.();
  }, []);

  const show = useCallback(
    (notice: Notice): EndNotice => {
      const id = ++lastId.current;
      keep((other) => !isReplaced(other, notice), [{ ...notice, id }]);
      return () => keep((other) => other.id !== id);
    },
    [keep],
  );

  const act = useCallback((acted: Shown) => {
    shown.current = shown.current.filter((notice) => notice !== acted);
    setNotices(shown.current);
    acted.action?.run();
  }, []);

  // A page that crashed shows no notices; none of them can be acted on any more.
  useEffect(() => () => keep(() => false), [keep]);

  return (
    <NoticeContext value={show}>
      {children}
      <div className="notices" role="status" aria-atomic="false">
        {notices.map((notice) => (
          <Card
            key={notice.id}
            notice={notice}
            end={() => keep((other) => other !== notice)}
            act={() => act(notice)}
          />
        ))}
      </div>
    </NoticeContext>
  );
}

function Card({ notice, end, act }: { notice: Shown; end: () => void; act: () => void }) {
  const text = useText();
  const [isHeld, setHeld] = useState(false);
  const latestEnd = useRef(end);
  const shownMs = notice.action === undefined && notice.kind !== "problem" ? DONE_SHOWN_MS : SHOWN_MS;
  const cameFrom = useRef<Element | null>(null);

  useEffect(() => {
    latestEnd.current = end;
  });
  useEffect(() => {
    if (isHeld) return;
    const timer = setTimeout(() => latestEnd.current(), shownMs);
    return () => clearTimeout(timer);
  }, [isHeld, shownMs]);

  const focused = (event: FocusEvent) => {
    if (!event.currentTarget.contains(event.relatedTarget)) cameFrom.current = event.relatedTarget;
    setHeld(true);
  };
  const left = (event: FocusEvent) => {
    if (!event.currentTarget.contains(event.relatedTarget)) setHeld(false);
  };
  // The buttons go with the notice, so the focus returns to the place that it came from.
  const goBack = () => {
    const place = cameFrom.current?.isConnected ? cameFrom.current : document.getElementById("main");
    if (place instanceof HTMLElement) place.focus({ preventScroll: true });
  };

  return (
    <div
      className={`notice ${notice.kind ?? "done"}`}
      onFocus={focused}
      onBlur={left}
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
    >
      <span dir="auto">{notice.text}</span>
      {notice.action && (
        <button
          className="button small"
          onClick={() => {
            goBack();
            act();
          }}
        >
          {notice.action.label}
        </button>
      )}
      <button
        className="icon-button"
        aria-label={text.close}
        onClick={() => {
          goBack();
          end();
        }}
      >
        ×
      </button>
    </div>
  );
}

/** Function that shows a notice, and returns one that takes it away. */
export function useNotice(): (notice: Notice) => EndNotice {
  const show = useContext(NoticeContext);
  if (!show) throw new Error("NoticeProvider is missing");
  return show;
}
