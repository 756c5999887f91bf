/** Pictures of the form: a card for each, with its progress, its refusal and what can be done. */

import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { ApiError } from "../../api/errors";
import { sentenceFor } from "../../components/problems";
import { useText, useTexts } from "../../i18n/language";
import type { Texts } from "../../i18n/ko";
import { canRetry, type Limits, type Picture, type Pictures } from "./pictures";
import { TEXTS, type WriteTexts } from "./texts";

const MEBIBYTE = 1024 * 1024;

interface Props {
  pictures: Pictures;
  limits: Limits | null;
  /** Said where the post is on the board already. */
  isVisible: boolean;
  onChange: () => void;
}

export function PictureList({ pictures, limits, isVisible, onChange }: Props) {
  const text = useTexts(TEXTS).pictures;
  const all = useSyncExternalStore(pictures.subscribe, pictures.current);
  const input = useRef<HTMLInputElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  const remove = (picture: Picture) => {
    pictures.remove(picture.key);
    onChange();
    // A card that is gone takes the focus with it.
    if (picture.state !== "stored") button.current?.focus();
  };
  const keep = (picture: Picture) => {
    pictures.keepAfterAll(picture.key);
    onChange();
  };

  return (
    <section className="upload-list" aria-labelledby="pictures-title">
      <h2 id="pictures-title">{text.title}</h2>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        accept={(limits?.extensions ?? []).map((extension) => `.${extension.replace(/^\./, "")}`).join(",")}
        onChange={(event) => {
          pictures.add([...(event.target.files ?? [])]);
          event.target.value = ""; // so that the same file can be chosen again
        }}
      />
      <p>
        <button ref={button} type="button" className="button" aria-describedby="pictures-hint" onClick={() => input.current?.click()}>
          {text.add}
        </button>
      </p>
      <p id="pictures-hint" className="fine">
        {limits && text.hint(limits.maxBytes / MEBIBYTE, limits.maxFiles)} {isVisible && text.atOnce}
      </p>
      <UploadStatus pictures={all} />
      {all.length > 0 && (
        <ul className="picture-cards">
          {all.map((picture) => (
            <Card
              key={picture.key}
              picture={picture}
              limits={limits}
              retry={() => pictures.retry(picture.key)}
              remove={() => remove(picture)}
              keep={() => keep(picture)}
            />
          ))}
        </ul>
      )}
    </section>
  );
}

const isBusy = ({ state }: Picture): boolean => state === "waiting" || state === "sending" || state === "processing";

/** One sentence at the beginning of a batch and one at its end; the cards have the rest for who looks. */
function UploadStatus({ pictures }: { pictures: readonly Picture[] }) {
  const text = useTexts(TEXTS).pictures;
  const [said, setSaid] = useState("");
  const batch = useRef(new Set<number>());
  const lastKey = useRef(0);
  useEffect(() => {
    for (const picture of pictures) {
      if (picture.file && (picture.key > lastKey.current || isBusy(picture))) batch.current.add(picture.key);
    }
    lastKey.current = Math.max(lastKey.current, ...pictures.map(({ key }) => key));
    if (batch.current.size === 0) return;
    const mine = pictures.filter(({ key }) => batch.current.has(key));
    const count = (state: Picture["state"]) => mine.filter((picture) => picture.state === state).length;
    if (mine.some(isBusy)) return setSaid(text.uploading(mine.length));
    setSaid(mine.length > 0 ? text.uploaded(count("stored"), count("refused")) : "");
    batch.current.clear();
  }, [pictures, text]);
  return (
    <p className="visually-hidden" role="status">
      {said}
    </p>
  );
}

interface CardProps {
  picture: Picture;
  limits: Limits | null;
  retry: () => void;
  remove: () => void;
  keep: () => void;
}

function Card({ picture, limits, retry, remove, keep }: CardProps) {
  const shared = useText();
  const all = useTexts(TEXTS);
  const text = all.pictures;
  const [isBroken, setBroken] = useState(false); // a file that is no picture, or one that this browser cannot show
  const name = picture.name || text.unnamed;
  const { state, progress, problem, isRemoved } = picture;
  const errorId = `picture-${picture.key}-error`;
  return (
    <li className={isRemoved ? "picture-card removed" : "picture-card"} data-state={state}>
      {picture.preview === null || isBroken ? (
        <div className="no-preview fine">{picture.media && !picture.file && text.noPreview}</div>
      ) : (
        <img src={picture.preview} alt="" width="160" height="120" onError={() => setBroken(true)} />
      )}
      <div className="about">
        <p className="name" dir="auto">
          {name}
        </p>
        <p className="fine">
          {sizeInWords(picture.size)} · {isRemoved ? text.removed : stateInWords(picture, text)}
        </p>
        {state === "sending" && <progress max={1} value={progress} aria-label={name} />}
        {state === "processing" && <progress aria-label={name} />}
        {problem !== null && (
          <p className="field-error" id={errorId}>
            {problemInWords(problem, limits, all, shared)}
          </p>
        )}
        <p className="actions">
          {problem !== null && canRetry(problem) && (
            <button type="button" className="button small" aria-label={text.of(shared.retry, name)} aria-describedby={errorId} onClick={retry}>
              {shared.retry}
            </button>
          )}
          {isRemoved ? (
            <button type="button" className="button small" aria-label={text.of(text.keep, name)} onClick={keep}>
              {text.keep}
            </button>
          ) : (
            <button
              type="button"
              className="button small"
              data-remove={picture.key}
              aria-label={text.of(text.remove, name)}
              aria-describedby={problem === null ? undefined : errorId}
              onClick={remove}
            >
              {text.remove}
            </button>
          )}
        </p>
      </div>
    </li>
  );
}

function stateInWords({ state, progress }: Picture, text: WriteTexts["pictures"]): string {
  return state === "sending" ? text.sending(Math.round(progress * 100)) : text[state];
}

function problemInWords(problem: NonNullable<Picture["problem"]>, limits: Limits | null, all: WriteTexts, shared: Texts): string {
  if (problem === "too-large") return all.pictures.tooLarge((limits?.maxBytes ?? 0) / MEBIBYTE);
  if (problem === "too-many") return all.pictures.tooMany(limits?.maxFiles ?? 0);
  return (problem instanceof ApiError && problem.forField("file")) || sentenceFor(problem, shared);
}

function sizeInWords(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < MEBIBYTE ? `${Math.round(bytes / 1024)} KiB` : `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
}
