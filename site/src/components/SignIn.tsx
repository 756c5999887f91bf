import type { ReactNode } from "react";
import { Link, useLocation } from "react-router";
import { useSession } from "../context";
import { signInLink } from "../session/paths";

/** Way to sign in and back to this page; nothing where nobody can sign in. */
export function SignIn({ children, className = "button small" }: { children: ReactNode; className?: string }) {
  const { pathname, search, hash } = useLocation();
  if (useSession().issuer === null) return null;
  return (
    <Link className={className} to={signInLink(pathname + search + hash)}>
      {children}
    </Link>
  );
}
