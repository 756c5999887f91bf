import { useLayoutEffect } from "react";
import { useLocation, useNavigationType } from "react-router";

const KEPT = "board.scroll.";

/** Scroll to the top of a page that a link opened, and back to the same place by the back button. */
export function useScrollMemory(): void {
  const { key } = useLocation();
  const arrival = useNavigationType();

  useLayoutEffect(() => {
    history.scrollRestoration = "manual";
    const kept = arrival === "POP" ? Number(sessionStorage.getItem(KEPT + key) ?? 0) : 0;
    scrollTo(0, kept);
    const keep = () => sessionStorage.setItem(KEPT + key, String(scrollY));
    addEventListener("scroll", keep, { passive: true });
    addEventListener("pagehide", keep);
    return () => {
      removeEventListener("scroll", keep);
      removeEventListener("pagehide", keep);
    };
  }, [key, arrival]);
}
