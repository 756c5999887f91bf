import { useState } from "react";
import { Link } from "react-router";
import { ForUsers } from "../../components/ForUsers";
import { PageTitle } from "../../components/PageTitle";
import { useText, useTexts } from "../../i18n/language";
import type { User } from "../../session/tokens";
import { LeaveDialog } from "./LeaveDialog";
import "./account.css";
import { TEXTS } from "./texts";

export default function AccountPage() {
  const text = useText();
  return (
    <>
      <PageTitle>{text.nav.account}</PageTitle>
      <ForUsers>{(user) => <Account user={user} />}</ForUsers>
    </>
  );
}

function Account({ user }: { user: User }) {
  const text = useText();
  const texts = useTexts(TEXTS);
  const [isLeaving, setLeaving] = useState(false);
  return (
    <div className="account-page">
      <section className="card">
        <dl>
          <dt>{texts.name}</dt>
          <dd dir="auto">{user.username}</dd>
          {user.isAdmin && (
            <>
              <dt>{texts.role}</dt>
              <dd>{texts.admin}</dd>
            </>
          )}
        </dl>
        <Link className="button" to="/my">
          {text.nav.my}
        </Link>
      </section>
      <section className="card">
        <h2>{texts.leave}</h2>
        <p>{texts.effects[0]}</p>
        <button className="button danger" onClick={() => setLeaving(true)}>
          {texts.leaveButton}
        </button>
      </section>
      {isLeaving && <LeaveDialog onClose={() => setLeaving(false)} />}
    </div>
  );
}
