import { useQuery } from "@tanstack/react-query";
import { Suspense } from "react";
import { NavLink, Outlet } from "react-router";
import { openReports } from "../../api/moderation";
import { Loading } from "../../components/Loading";
import { PageTitle } from "../../components/PageTitle";
import { SignIn } from "../../components/SignIn";
import { useApi, useSessionState } from "../../context";
import { useLanguage, useText, useTexts } from "../../i18n/language";
import { numberIn } from "./parts";
import { ADMIN_TEXTS } from "./texts";
import "./admin.css";

/** Frame of the moderators' pages: for admins alone, with links to each of them. */
export default function AdminFrame() {
  const text = useText();
  const texts = useTexts(ADMIN_TEXTS);
  const session = useSessionState();
  if (session.status === "starting") return <Loading />;
  if (session.user?.isAdmin) {
    return (
      <div className="admin">
        <Tabs />
        <Suspense fallback={<Loading />}>
          <Outlet />
        </Suspense>
      </div>
    );
  }
  return (
    <>
      <PageTitle>{texts.title}</PageTitle>
      <p>{session.user ? texts.notAdmin : texts.signInFirst}</p>
      {session.user === null && <SignIn className="button primary">{text.nav.signIn}</SignIn>}
    </>
  );
}

function Tabs() {
  const texts = useTexts(ADMIN_TEXTS);
  const { language } = useLanguage();
  const open = useQuery(openReports(useApi())).data;
  const count = open ? `${numberIn(language, open.total)}${open.capped ? "+" : ""}` : "";
  return (
    <nav className="choices admin-tabs" aria-label={texts.tabs}>
      <NavLink to="/admin/reports">
        {texts.reports}{" "}
        <span className="count" aria-hidden="true">
          {count}
        </span>
        {open && <span className="visually-hidden">({texts.openReports(count)})</span>}
      </NavLink>
      <NavLink to="/admin/posts">{texts.posts}</NavLink>
      <NavLink to="/admin/categories">{texts.categories}</NavLink>
      <NavLink to="/admin/log">{texts.log}</NavLink>
    </nav>
  );
}
