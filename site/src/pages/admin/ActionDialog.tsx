import { useEffect, useId, useRef, useState, type FormEvent, type ReactNode } from "react";
import { ApiError } from "../../api/errors";
import { Dialog } from "../../components/Dialog";
import { useKept } from "../../components/kept";
import { sentenceFor } from "../../components/problems";
import { useText, useTexts } from "../../i18n/language";
import { ADMIN_TEXTS } from "./texts";

const REASON_MAX_CHARS = 500;

interface Props {
  title: string;
  about?: string | undefined;
  /** Label of the button that does it. */
  action: string;
  isDanger?: boolean;
  /** Text to be typed before something that cannot be undone. */
  confirm?: string | undefined;
  /** Further fields, before the reason. */
  children?: ReactNode;
  /** Checks further fields, and focuses a wrong one; false if one is wrong. */
  check?: () => boolean;
  /** Progress of long work, read aloud. */
  progress?: string | null;
  /**
   * What the dialog is for; a rejection is shown in it. `signal` is aborted when the dialog is closed before the end.
   *
   * @returns "stay" if the dialog has a result to show.
   */
  act: (reason: string, signal: AbortSignal) => Promise<void | "stay">;
  onClose: () => void;
}

/** Dialog of a moderator's action: what it does, an optional reason, and a typed confirmation where one is wanted. */
export function ActionDialog({ title, about, action, isDanger = false, confirm, check, progress, act, ...rest }: Props) {
  const { children, onClose } = rest;
  const kept = useKept(title);
  const text = useText();
  const texts = useTexts(ADMIN_TEXTS);
  const [phase, setPhase] = useState<"asking" | "working" | "result">("asking");
  const [error, setError] = useState<Error | null>(null);
  const [isUnconfirmed, setUnconfirmed] = useState(false);
  const reason = useRef<HTMLInputElement>(null);
  const typed = useRef<HTMLInputElement>(null);
  const closing = useRef<HTMLButtonElement>(null);
  const work = useRef<AbortController>(null);
  const id = useId();

  useEffect(() => () => work.current?.abort(), []);
  useEffect(() => {
    if (phase === "result") closing.current?.focus();
  }, [phase]);

  function close() {
    kept.forget();
    onClose();
  }

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (phase === "working") return;
    const isWrong = confirm !== undefined && typed.current?.value.trim() !== confirm;
    setUnconfirmed(isWrong);
    setError(null);
    if (check && !check()) return;
    if (isWrong) return typed.current?.focus();
    const started = new AbortController();
    work.current = started;
    setPhase("working");
    try {
      const outcome = await act(reason.current?.value ?? "", started.signal);
      if (started.signal.aborted) return;
      kept.forget();
      if (outcome === "stay") setPhase("result");
      else onClose();
    } catch (caught) {
      if (started.signal.aborted) return;
      setPhase("asking");
      setError(caught as Error);
      if (reasonProblem(caught)) reason.current?.focus();
    }
  }

  const wrongReason = reasonProblem(error);
  return (
    <Dialog title={title} onClose={close}>
      {about && <p>{about}</p>}
      <form noValidate onSubmit={(event) => void submit(event)}>
        {children}
        {phase !== "result" && confirm !== undefined && (
          <div className="field">
            <label htmlFor={`${id}-confirm`}>{texts.confirmNumber(confirm)}</label>
            <input
              ref={typed}
              id={`${id}-confirm`}
              autoComplete="off"
              aria-invalid={isUnconfirmed}
              aria-describedby={isUnconfirmed ? `${id}-confirm-error` : undefined}
            />
            {isUnconfirmed && (
              <p className="field-error" id={`${id}-confirm-error`}>
                {texts.confirmWrong(confirm)}
              </p>
            )}
          </div>
        )}
        {phase !== "result" && (
          <div className="field">
            <label htmlFor={`${id}-reason`}>
              {text.reason} ({text.optional})
            </label>
            <input
              ref={reason}
              id={`${id}-reason`}
              defaultValue={kept.text}
              onChange={kept.keep}
              maxLength={REASON_MAX_CHARS}
              autoComplete="off"
              aria-invalid={wrongReason !== undefined}
              aria-describedby={`${id}-hint`}
            />
            <p className={wrongReason ? "field-error" : "fine"} id={`${id}-hint`}>
              {wrongReason ?? texts.reasonHint}
            </p>
          </div>
        )}
        <p role="status" className="progress">
          {progress}
        </p>
        {error && !wrongReason && (
          <div className="problem" role="alert">
            <p>{inWords(error, sentenceFor(error, text))}</p>
          </div>
        )}
        <div className="dialog-buttons">
          <button ref={closing} type="button" className="button" onClick={close}>
            {phase === "asking" ? text.cancel : text.close}
          </button>
          {phase !== "result" && (
            <button className={isDanger ? "button danger" : "button primary"} aria-disabled={phase === "working"}>
              {action}
            </button>
          )}
        </div>
      </form>
    </Dialog>
  );
}

const reasonProblem = (error: unknown): string | undefined =>
  error instanceof ApiError ? error.forField("reason") : undefined;

function inWords(error: Error, sentence: string): string {
  const details = error instanceof ApiError ? error.details.map(({ message }) => message) : [];
  return [sentence, ...details].join(" ");
}
