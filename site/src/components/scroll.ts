import { useLayoutEffect } from "react";
import { useLocation, useNavigationType } from "react-router";
import { keepIfRoom, tabStorage } from "../storage";

const KEPT = "board.scroll.";
/** What a reader does to scroll by hand; from then on nothing scrolls for them. */
const BY_HAND = ["wheel", "touchmove", "keydown", "pointerdown"] as const;

/** True for a navigation that leaves the page as it is, and only gives it another address. */
export function stays(state: unknown): boolean {
  return typeof state === "object" && state !== null && "stays" in state && state.stays === true;
}

/** True on a load that shows a page again: a reload, or the back button from another site. */
function isShownAgain(): boolean {
  const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  return navigation !== undefined && navigation.type !== "navigate";
}

let isFirstPage = true;

/**
 * Scroll to the top of a page that a link opened, and back to the same place by the back button and a reload.
 *
 * The place may be there only when the page's content has come, so it is waited for, until the reader scrolls.
 */
export function useScrollMemory(): void {
  const { key, pathname, search, state } = useLocation();
  const arrival = useNavigationType();

  useLayoutEffect(() => {
    history.scrollRestoration = "manual";
    // The first page of each visit has the same key.
    const name = `${KEPT}${key} ${pathname}${search}`;
    const isBack = arrival === "POP" && (!isFirstPage || isShownAgain());
    isFirstPage = false;
    const place = stays(state) && !isBack ? scrollY : isBack ? Number(tabStorage.getItem(name) ?? 0) : 0;
    const keep = () => keepIfRoom(tabStorage, name, String(Math.round(scrollY)));
    const stop = isThere(place) ? scrollNow(place, keep) : scrollWhenThere(place, keep);
    return stop;
  }, [key, pathname, search, arrival, state]);
}

function isThere(place: number): boolean {
  return document.documentElement.scrollHeight - innerHeight >= place;
}

/** Scroll, and keep the place from now on; returns the end of it. */
function scrollNow(place: number, keep: () => void): () => void {
  scrollTo(0, place);
  addEventListener("scroll", keep, { passive: true });
  addEventListener("pagehide", keep);
  return () => {
    removeEventListener("scroll", keep);
    removeEventListener("pagehide", keep);
  };
}

/** Scroll once the page is long enough. Until then the kept place stays as it is. */
function scrollWhenThere(place: number, keep: () => void): () => void {
  let stop = () => {};
  const growth = new ResizeObserver(() => isThere(place) && end(place));
  const byHand = () => end(scrollY);
  function end(to: number) {
    stopWaiting();
    stop = scrollNow(to, keep);
  }
  function stopWaiting() {
    growth.disconnect();
    for (const act of BY_HAND) removeEventListener(act, byHand);
  }
  growth.observe(document.body);
  for (const act of BY_HAND) addEventListener(act, byHand, { passive: true });
  stop = stopWaiting;
  return () => stop();
}
