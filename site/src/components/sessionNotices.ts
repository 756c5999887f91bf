import { useEffect, useRef } from "react";
import { useNavigate } from "react-router";
import { useSessionState } from "../context";
import { useText } from "../i18n/language";
import { signInLink } from "../session/paths";
import { focusMain } from "./focus";
import { useNotice } from "./notices";

/** Say that the session has ended by itself or in another tab, with the way to sign in again and come back. */
export function useSessionNotices(): void {
  const text = useText();
  const state = useSessionState();
  const notice = useNotice();
  const navigate = useNavigate();
  const ended = state.status === "anonymous" ? state.ended : null;
  const go = useRef(navigate); // another one on each page, where the end is no news any more

  useEffect(() => {
    go.current = navigate;
  });
  useEffect(() => {
    if (ended === null) return;
    // What only users see goes now, and the focus with it; a form that stays keeps it.
    if (!document.activeElement?.closest("form")) focusMain();
    const signIn = () => void go.current(signInLink(location.pathname + location.search + location.hash));
    return notice({ kind: "problem", text: text.session[ended], action: { label: text.nav.signIn, run: signIn } });
  }, [ended, text, notice]);
}
