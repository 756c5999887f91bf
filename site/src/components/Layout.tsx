/** Frame of all pages: skip link, header with the menu, main, footer. */

import type { ReactNode } from "react";
import { Link, NavLink, useLocation, useNavigate } from "react-router";
import { useConfig, useSession, useSessionState } from "../context";
import { useLanguage, useText } from "../i18n/language";
import { useScrollMemory } from "./scroll";

export function Layout({ children }: { children: ReactNode }) {
  const text = useText();
  useScrollMemory();
  return (
    <>
      <a className="skip" href="#main">
        {text.skip}
      </a>
      <header className="site-header">
        <div className="bar">
          <Link className="brand" to="/">
            <img src="/favicon.svg" alt="" width="28" height="28" /> {text.siteName}
          </Link>
          <nav className="menu" aria-label={text.nav.label}>
            <Menu />
          </nav>
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

function Menu() {
  const text = useText();
  const state = useSessionState();
  const session = useSession();
  const navigate = useNavigate();
  if (state.status === "starting") return null;
  if (state.status === "anonymous") return <SignInButton />;
  return (
    <>
      <NavLink to="/write">{text.nav.write}</NavLink>
      <NavLink to="/my">{text.nav.my}</NavLink>
      {state.user.isAdmin && <NavLink to="/admin/reports">{text.nav.admin}</NavLink>}
      <NavLink to="/account">{state.user.username}</NavLink>
      <button className="link-button" onClick={() => void session.signOut().then(() => navigate("/"))}>
        {text.nav.signOut}
      </button>
    </>
  );
}

function SignInButton() {
  const text = useText();
  const session = useSession();
  const { pathname, search } = useLocation();
  const here = pathname + search;
  if (session.issuer.asksName) {
    return (
      <Link className="button small" to={`/sign-in?to=${encodeURIComponent(here)}`}>
        {text.nav.signIn}
      </Link>
    );
  }
  return (
    <button className="button small" onClick={() => void session.signIn(here)}>
      {text.nav.signIn}
    </button>
  );
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
