/** Frame of all pages: skip link, header with the menu, main, footer. */

import type { MouseEvent, ReactNode } from "react";
import { Link } from "react-router";
import { useConfig } from "../context";
import { useLanguage, useText } from "../i18n/language";
import { focusMain } from "./focus";
import { Menu } from "./Menu";
import { useScrollMemory } from "./scroll";
import { useSessionNotices } from "./sessionNotices";

export function Layout({ children }: { children: ReactNode }) {
  const text = useText();
  useScrollMemory();
  useSessionNotices();
  return (
    <>
      <a className="skip" href="#main" onClick={skip}>
        {text.skip}
      </a>
      <header className="site-header">
        <div className="bar">
          <Link className="brand" to="/">
            <img src="/favicon.svg" alt="" width="28" height="28" /> {text.siteName}
          </Link>
          <Menu />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <footer className="site-footer">
        <LanguageSwitch />
        <Feed />
      </footer>
    </>
  );
}

/** Go to the content; the router would take the address with `#main` for another page. */
function skip(event: MouseEvent) {
  event.preventDefault();
  focusMain();
}

function LanguageSwitch() {
  const text = useText();
  const { language, setLanguage } = useLanguage();
  return (
    <div role="group" aria-label={text.language} className="choices">
      <button lang="ko" aria-pressed={language === "ko"} onClick={() => setLanguage("ko")}>
        한국어
      </button>
      <button lang="en" aria-pressed={language === "en"} onClick={() => setLanguage("en")}>
        English
      </button>
    </div>
  );
}

function Feed() {
  const { api } = useConfig();
  return <a href={`${api}/feed.atom`}>{useText().list.feed}</a>;
}
