import { useEffect, useRef } from "react";
import { useLocation, useNavigationType } from "react-router";
import { useText } from "../i18n/language";
import { stays } from "./scroll";

/**
 * Heading of a page, and the title of its tab.
 *
 * After a link was followed the heading has the focus, so that a screen reader says where one is and Tab goes on
 * from there. A first load and the back button leave the focus to the browser, and so does a page that only gets
 * another address (`stays` in the state of the navigation).
 */
export function PageTitle({ children, tab, hidden = false }: { children: string; tab?: string; hidden?: boolean }) {
  const text = useText();
  const heading = useRef<HTMLHeadingElement>(null);
  const shownPath = useRef<string>(undefined);
  const { pathname, state } = useLocation();
  const arrival = useNavigationType();
  const title = tab ?? children;

  useEffect(() => {
    document.title = title === text.siteName ? title : `${title} · ${text.siteName}`;
  }, [title, text.siteName]);
  useEffect(() => {
    if (shownPath.current === pathname) return; // a link within the page: the focus stays where it is
    shownPath.current = pathname;
    if (arrival !== "POP" && !stays(state)) heading.current?.focus({ preventScroll: true });
  }, [pathname, arrival, state]);

  return (
    <h1 ref={heading} tabIndex={-1} dir="auto" className={hidden ? "visually-hidden" : "page-title"}>
      {children}
    </h1>
  );
}
