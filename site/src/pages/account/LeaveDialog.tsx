import { useMutation } from "@tanstack/react-query";
import { useId, useRef, useState, type FormEvent } from "react";
import { useNavigate } from "react-router";
import { bodyOf } from "../../api/client";
import { Dialog } from "../../components/Dialog";
import { useNotice } from "../../components/notices";
import { Problem } from "../../components/problems";
import { useApi, useSession } from "../../context";
import { useText, useTexts } from "../../i18n/language";
import { TEXTS } from "./texts";

/** Dialog to leave the board: what stays, a word to type, then the end of the session. */
export function LeaveDialog({ onClose }: { onClose: () => void }) {
  const text = useText();
  const texts = useTexts(TEXTS);
  const api = useApi();
  const session = useSession();
  const notice = useNotice();
  const navigate = useNavigate();
  const [isMistyped, setMistyped] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const id = useId();

  const leave = useMutation({
    mutationFn: async () => {
      await session.finishTasks(); // afterwards the service refuses this user's deletions
      await bodyOf(api.POST("/api/v1/users/me/deactivate"));
    },
    onSuccess: async () => {
      await navigate("/"); // before the session's end: this page needs a user
      notice({ text: texts.left });
      await session.signOut();
    },
  });

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const isTyped = field.current?.value.trim().toLowerCase() === texts.word;
    setMistyped(!isTyped);
    if (!isTyped) field.current?.focus();
    else if (!leave.isPending) leave.mutate();
  }

  return (
    <Dialog title={texts.leave} onClose={onClose}>
      <form onSubmit={submit} noValidate>
        <ul className="effects" id={`${id}effects`}>
          {texts.effects.map((effect) => (
            <li key={effect}>{effect}</li>
          ))}
        </ul>
        {leave.error && <Problem error={leave.error} />}
        <div className="field">
          <label htmlFor={`${id}word`}>{texts.confirm}</label>
          <input
            id={`${id}word`}
            ref={field}
            autoComplete="off"
            autoCapitalize="none"
            aria-invalid={isMistyped}
            aria-describedby={isMistyped ? `${id}mistyped` : `${id}effects`}
          />
          {isMistyped && (
            <p className="field-error" id={`${id}mistyped`}>
              {texts.mistyped}
            </p>
          )}
        </div>
        <div className="dialog-buttons">
          <button type="button" className="button" onClick={onClose}>
            {text.cancel}
          </button>
          <button className="button danger" aria-disabled={leave.isPending}>
            {texts.confirmButton}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
