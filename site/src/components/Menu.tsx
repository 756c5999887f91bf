/** The menu: pages of the signed-in user, or the way to sign in. */

import type { ReactNode } from "react";
import { Link, useLocation, useNavigate } from "react-router";
import { useSession, useSessionState } from "../context";
import { useText } from "../i18n/language";
import type { User } from "../session/tokens";
import { focusMain } from "./focus";
import { useNotice } from "./notices";
import { SignIn } from "./SignIn";

/** Somebody of whom nothing is known yet, for the place that the menu will take. */
const UNKNOWN: User = { sub: "", username: "…", isAdmin: false };

export function Menu() {
  const text = useText();
  const { status, user } = useSessionState();
  const isKnown = status !== "starting";
  return (
    <nav className={isKnown ? "menu" : "menu unknown"} aria-label={text.nav.label}>
      {status === "anonymous" ? <SignIn>{text.nav.signIn}</SignIn> : <UsersMenu user={user ?? UNKNOWN} />}
    </nav>
  );
}

function UsersMenu({ user }: { user: User }) {
  const text = useText();
  return (
    <>
      <MenuLink to="/write">{text.nav.write}</MenuLink>
      <MenuLink to="/my">{text.nav.my}</MenuLink>
      {user.isAdmin && (
        <MenuLink to="/admin/reports" section="/admin">
          {text.nav.admin}
        </MenuLink>
      )}
      <div className="menu-user">
        <MenuLink to="/account" className="account">
          <span className="visually-hidden">{text.nav.account} </span>
          <bdi>{user.username}</bdi>
        </MenuLink>
        <SignOutButton />
      </div>
    </>
  );
}

interface MenuLinkProps {
  to: string;
  /** Beginning of the paths that belong to the link, where it is another than `to`. */
  section?: string;
  className?: string;
  children: ReactNode;
}

function MenuLink({ to, section = to, className, children }: MenuLinkProps) {
  const { pathname } = useLocation();
  const isIn = pathname === section || pathname.startsWith(`${section}/`);
  return (
    <Link to={to} className={className} aria-current={pathname === to ? "page" : isIn}>
      {children}
    </Link>
  );
}

function SignOutButton() {
  const text = useText();
  const session = useSession();
  const navigate = useNavigate();
  const notice = useNotice();

  async function signOut(): Promise<void> {
    await session.signOut();
    if (!session.issuer?.asksName) return; // the browser is leaving for the issuer's page
    notice({ text: text.session.signedOut });
    focusMain(); // the button has gone
    await navigate("/");
  }

  return (
    <button className="link-button" onClick={() => void signOut()}>
      {text.nav.signOut}
    </button>
  );
}
