import { useEffect, useId, useRef, useState, type FormEvent } from "react";
import { Navigate, useSearchParams } from "react-router";
import { ApiError } from "../../api/errors";
import { Loading } from "../../components/Loading";
import { PageTitle } from "../../components/PageTitle";
import { Problem } from "../../components/problems";
import { useSession, useSessionState } from "../../context";
import { useText, useTexts } from "../../i18n/language";
import { safePath } from "../../session/paths";
import "./sign-in.css";

const TEXTS = {
  ko: {
    local: "개발용 로그인입니다. 이름만 정하면 그 사람으로 글을 쓸 수 있습니다.",
    name: "이름",
    admin: "관리자로 로그인",
    adminHint: "신고와 숨긴 글을 다루어 볼 수 있습니다.",
    nobody: "지금은 로그인할 수 없습니다. 글은 로그인 없이 읽을 수 있습니다.",
    leaving: "로그인 페이지로 이동합니다…",
  },
  en: {
    local: "For development: choose a name, and write as this person.",
    name: "Name",
    admin: "Sign in as an admin",
    adminHint: "To try reports and hidden posts.",
    nobody: "Nobody can sign in at the moment. Reading needs no account.",
    leaving: "To the sign-in page…",
  },
};

/** The way in: a form for the local issuer, else on to the issuer's page; then back to where one was. */
export default function SignInPage() {
  const text = useText();
  const texts = useTexts(TEXTS);
  const { status } = useSessionState();
  const { issuer } = useSession();
  const [query] = useSearchParams();
  const returnTo = safePath(query.get("to"));

  if (status === "starting") return <Loading />;
  if (status === "signed-in") return <Navigate to={returnTo} replace />;
  return (
    <div className="sign-in">
      <PageTitle>{text.nav.signIn}</PageTitle>
      {issuer === null && <p>{texts.nobody}</p>}
      {issuer?.asksName === true && <NameForm returnTo={returnTo} />}
      {issuer?.asksName === false && <Departure returnTo={returnTo} />}
    </div>
  );
}

function Departure({ returnTo }: { returnTo: string }) {
  const texts = useTexts(TEXTS);
  const session = useSession();
  const [error, setError] = useState<Error | null>(null);
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    setError(null);
    session.signIn(returnTo).catch((reason: unknown) => setError(asError(reason)));
  }, [session, returnTo, attempt]);

  if (error) return <Problem error={error} retry={() => setAttempt(attempt + 1)} />;
  return <p role="status">{texts.leaving}</p>;
}

function NameForm({ returnTo }: { returnTo: string }) {
  const text = useText();
  const texts = useTexts(TEXTS);
  const session = useSession();
  const [error, setError] = useState<Error | null>(null);
  const [isBusy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const problem = error instanceof ApiError ? error.forField("username") : undefined;

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    try {
      // Signed in, the page around leads on.
      await session.signIn(returnTo, { username: String(form.get("username")), isAdmin: form.has("admin") });
    } catch (reason) {
      setError(asError(reason));
      setBusy(false);
      field.current?.focus();
    }
  }

  return (
    <form className="card" onSubmit={(event) => void submit(event)} noValidate>
      <p>{texts.local}</p>
      {error && problem === undefined && <Problem error={error} />}
      <div className="field">
        <label htmlFor={`${id}name`}>{texts.name}</label>
        <input
          id={`${id}name`}
          ref={field}
          name="username"
          autoComplete="username"
          autoCapitalize="none"
          aria-invalid={problem !== undefined}
          aria-describedby={problem === undefined ? undefined : `${id}problem`}
        />
        {problem !== undefined && (
          <p className="field-error" id={`${id}problem`}>
            {problem}
          </p>
        )}
      </div>
      <div className="check">
        <input type="checkbox" id={`${id}admin`} name="admin" aria-describedby={`${id}hint`} />
        <label htmlFor={`${id}admin`}>{texts.admin}</label>
        <p className="fine" id={`${id}hint`}>
          {texts.adminHint}
        </p>
      </div>
      <button className="button primary" aria-disabled={isBusy}>
        {text.nav.signIn}
      </button>
    </form>
  );
}

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));
