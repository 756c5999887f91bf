import type { ReactNode } from "react";
import { useSessionState } from "../context";
import { useText, useTexts } from "../i18n/language";
import type { User } from "../session/tokens";
import { Loading } from "./Loading";
import { SignIn } from "./SignIn";

const TEXTS = {
  ko: { needed: "로그인이 필요한 페이지입니다." },
  en: { needed: "This page is for signed-in users." },
};

/** Content for a signed-in user; others get the way to sign in and come back. */
export function ForUsers({ children }: { children: (user: User) => ReactNode }) {
  const text = useText();
  const texts = useTexts(TEXTS);
  const { status, user } = useSessionState();
  if (status === "starting") return <Loading />;
  if (user !== null) return children(user);
  return (
    <>
      <p>{texts.needed}</p>
      <SignIn className="button primary">{text.nav.signIn}</SignIn>
    </>
  );
}
