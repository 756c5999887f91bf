import { useEffect, useId, useRef, useState, type FormEvent } from "react";
import { ApiError } from "../../api/errors";
import { reportPost, type ReportReason } from "../../api/moderation";
import { Dialog } from "../../components/Dialog";
import { useKept } from "../../components/kept";
import { useNotice } from "../../components/notices";
import { sentenceFor } from "../../components/problems";
import { SignIn } from "../../components/SignIn";
import { useApi, useUser } from "../../context";
import { useText, useTexts } from "../../i18n/language";
import { REASONS } from "./reasons";
import "./report.css";

const TEXTS = {
  ko: {
    title: "글 신고",
    signIn: "신고하려면 로그인하세요.",
    about: "관리자가 확인합니다. 글마다 한 번 신고할 수 있습니다.",
    reason: "신고 이유",
    choose: "신고 이유를 고르세요.",
    words: "자세한 내용",
    send: "신고하기",
  },
  en: {
    title: "Report this post",
    signIn: "Please sign in to report.",
    about: "The moderators will look at it. You can report a post once.",
    reason: "What is wrong",
    choose: "Choose what is wrong.",
    words: "In your words",
    send: "Report",
  },
};

const TEXT_MAX_CHARS = 500;

/** Dialog that reports a post; who is signed out is asked to sign in. */
export default function ReportDialog({ id, onClose }: { id: string; onClose: () => void }) {
  return useUser() === null ? <SignInDialog onClose={onClose} /> : <ReportForm id={id} onClose={onClose} />;
}

function SignInDialog({ onClose }: { onClose: () => void }) {
  const text = useText();
  const texts = useTexts(TEXTS);
  return (
    <Dialog title={texts.title} onClose={onClose}>
      <p>{texts.signIn}</p>
      <div className="dialog-buttons">
        <SignIn className="button primary">{text.nav.signIn}</SignIn>
        <button className="button" onClick={onClose}>
          {text.cancel}
        </button>
      </div>
    </Dialog>
  );
}

function ReportForm({ id, onClose }: { id: string; onClose: () => void }) {
  const text = useText();
  const texts = useTexts(TEXTS);
  const reasons = useTexts(REASONS);
  const api = useApi();
  const notice = useNotice();
  const kept = useKept("report");
  const [isSending, setSending] = useState(false);
  const [isUnchosen, setUnchosen] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const first = useRef<HTMLInputElement>(null);
  const words = useRef<HTMLTextAreaElement>(null);
  const closing = useRef<HTMLButtonElement>(null);
  const key = useId();
  const isOver = error instanceof ApiError && error.code === "already_reported";
  const wrongWords = error instanceof ApiError ? error.forField("text") : undefined;

  useEffect(() => {
    if (isOver) closing.current?.focus();
  }, [isOver]);

  function close() {
    kept.forget();
    onClose();
  }

  async function send(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    if (isSending) return;
    const reason = new FormData(event.currentTarget).get("reason");
    setUnchosen(reason === null);
    if (reason === null) return first.current?.focus();
    setSending(true);
    setError(null);
    try {
      notice({ text: await reportPost(api, id, reason as ReportReason, words.current?.value ?? "") });
      close();
    } catch (caught) {
      setError(caught as Error);
      setSending(false);
    }
  }

  return (
    <Dialog title={texts.title} onClose={close}>
      <form noValidate onSubmit={(event) => void send(event)}>
        <p>{texts.about}</p>
        {!isOver && (
          <>
            <fieldset className="report-reasons" aria-describedby={isUnchosen ? `${key}-error` : undefined}>
              <legend>{texts.reason}</legend>
              {Object.entries(reasons).map(([value, label], index) => (
                <label key={value}>
                  <input ref={index === 0 ? first : undefined} type="radio" name="reason" value={value} /> {label}
                </label>
              ))}
              {isUnchosen && (
                <p className="field-error" id={`${key}-error`}>
                  {texts.choose}
                </p>
              )}
            </fieldset>
            <div className="field">
              <label htmlFor={`${key}-words`}>
                {texts.words} ({text.optional})
              </label>
              <textarea
                ref={words}
                id={`${key}-words`}
                defaultValue={kept.text}
                onChange={kept.keep}
                rows={3}
                maxLength={TEXT_MAX_CHARS}
                aria-invalid={wrongWords !== undefined}
                aria-describedby={wrongWords && `${key}-words-error`}
              />
              {wrongWords && (
                <p className="field-error" id={`${key}-words-error`}>
                  {wrongWords}
                </p>
              )}
            </div>
          </>
        )}
        {error && !wrongWords && (
          <div className="problem" role="alert">
            <p>{sentenceFor(error, text)}</p>
          </div>
        )}
        <div className="dialog-buttons">
          <button ref={closing} type="button" className="button" onClick={close}>
            {isOver ? text.close : text.cancel}
          </button>
          {!isOver && (
            <button className="button primary" aria-disabled={isSending}>
              {texts.send}
            </button>
          )}
        </div>
      </form>
    </Dialog>
  );
}
