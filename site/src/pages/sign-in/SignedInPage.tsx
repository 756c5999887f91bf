import { useEffect, useState } from "react";
import { Link } from "react-router";
import { Loading } from "../../components/Loading";
import { PageTitle } from "../../components/PageTitle";
import { useSession } from "../../context";
import { useText, useTexts } from "../../i18n/language";
import { SignInError, type Arrival } from "../../session/issuer";
import { signInLink } from "../../session/paths";

const TEXTS = {
  ko: {
    title: "로그인하지 못했습니다",
    denied: "로그인을 취소했습니다.",
    expired: "로그인 시간이 지났습니다. 다시 로그인하세요.",
    mismatch: "이 탭에서 시작한 로그인이 아니거나 이미 끝난 로그인입니다. 다시 로그인하세요.",
    refused: "로그인 페이지가 요청을 거절했습니다.",
    again: "다시 로그인",
  },
  en: {
    title: "You are not signed in",
    denied: "You have cancelled the sign-in.",
    expired: "The sign-in took too long. Sign in again.",
    mismatch: "This sign-in did not begin in this tab, or it has ended already. Sign in again.",
    refused: "The sign-in page has refused the request.",
    again: "Sign in again",
  },
};

/** The issuer's page sends the browser here; on success the page that was left takes this one's place. */
export default function SignedInPage() {
  const text = useText();
  const texts = useTexts(TEXTS);
  const session = useSession();
  const [error, setError] = useState<SignInError | null>(null);

  useEffect(() => {
    void session.start().then((outcome) => {
      if (outcome === null) setError(new SignInError("mismatch", "/"));
      else if (outcome instanceof SignInError) setError(outcome);
      else goBackTo(outcome);
    });
  }, [session]);

  if (error === null) return <Loading />;
  return (
    <>
      <PageTitle>{texts.title}</PageTitle>
      <p>{error.code === "unreachable" ? text.errors.unreachable : texts[error.code]}</p>
      {error.code === "refused" && error.reason !== "" && <p className="fine">{error.reason}</p>}
      <p>
        <Link className="button primary" to={signInLink(error.returnTo)}>
          {texts.again}
        </Link>{" "}
        <Link className="button" to="/">
          {text.notFound.home}
        </Link>
      </p>
    </>
  );
}

/** The entry in the history becomes the one that was left, so that its scroll position is found again. */
function goBackTo({ path, historyState }: Arrival): void {
  history.replaceState(historyState, "", path);
  dispatchEvent(new PopStateEvent("popstate", { state: historyState }));
}
