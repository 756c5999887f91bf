/** Problems in words: a refusal of the service, or no answer. */

import { ApiError, UNREACHABLE } from "../api/errors";
import { useText } from "../i18n/language";
import type { Texts } from "../i18n/ko";
import { focusMain } from "./focus";

/** Sentence for people about an error; the service's own where it sent one. */
export function sentenceFor(error: Error, text: Texts): string {
  if (!(error instanceof ApiError)) return text.errors.unexpected;
  if (error.code === UNREACHABLE) return text.errors.unreachable;
  if (error.message === "" || error.code === "unexpected_answer") return text.errors.unexpected;
  return error.retryAfter === null ? error.message : `${error.message} ${text.errors.retryAfter(error.retryAfter)}`;
}

interface Props {
  error: Error;
  retry?: () => void;
}

/** The button goes away while the answer is awaited, and would take the focus with it. */
function retryKeepingFocus(retry: () => void) {
  focusMain();
  retry();
}

/** An error in place of what could not be shown or done. */
export function Problem({ error, retry }: Props) {
  const text = useText();
  const isFault = error instanceof ApiError && error.status >= 500 && error.requestId !== null;
  return (
    <div className="problem" role="alert">
      <p>{sentenceFor(error, text)}</p>
      {isFault && <p className="fine">{text.errors.requestId(error.requestId ?? "")}</p>}
      {retry && (
        <button className="button" onClick={() => retryKeepingFocus(retry)}>
          {text.retry}
        </button>
      )}
    </div>
  );
}
