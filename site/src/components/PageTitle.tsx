import { useEffect, useRef } from "react";
import { useLocation, useNavigationType } from "react-router";
import { useText } from "../i18n/language";
import { stays } from "./scroll";

/** Key of the first load's address; another one shows that the pages were navigated since. */
let firstKey: string | undefined;
let hasNavigated = false;

/**
 * Heading of a page, and the title of its tab.
 *
 * After a link was followed the heading has the focus, so that a screen reader says where one is and Tab goes on
 * from there; after the back button too, where the focus went with its page. A first load leaves the focus to the
 * browser, and so does a page that only gets another address (`stays` in the state of the navigation).
 */
export function PageTitle({ children, tab, hidden = false }: { children: string; tab?: string; hidden?: boolean }) {
  const text = useText();
  const heading = useRef<HTMLHeadingElement>(null);
  const shownPath = useRef<string>(undefined);
  const { key, pathname, state } = useLocation();
  const arrival = useNavigationType();
  const title = tab ?? children;

  useEffect(() => {
    document.title = title === text.siteName ? title : `${title} · ${text.siteName}`;
  }, [title, text.siteName]);
  useEffect(() => {
    firstKey ??= key;
    hasNavigated ||= key !== firstKey;
    if (shownPath.current === pathname) return; // a link within the page: the focus stays where it is
    shownPath.current = pathname;
    const isLost = hasNavigated && document.activeElement === document.body;
    if (arrival === "POP" ? isLost : !stays(state)) heading.current?.focus({ preventScroll: true });
  }, [key, pathname, arrival, state]);

  return (
    <h1 ref={heading} tabIndex={-1} dir="auto" className={hidden ? "visually-hidden" : "page-title"}>
      {children}
    </h1>
  );
}
