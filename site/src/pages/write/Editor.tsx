/** The form of a post: title, category, text and pictures. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useId, useRef, useState, useSyncExternalStore, type ClipboardEvent, type DragEvent } from "react";
import { Link, useNavigate } from "react-router";
import { ApiError } from "../../api/errors";
import { categoriesQuery, refreshPosts } from "../../api/posts";
import { useNotice } from "../../components/notices";
import { Problem, sentenceFor } from "../../components/problems";
import { useApi, useSessionState, useUser } from "../../context";
import { useLanguage, useText, useTexts } from "../../i18n/language";
import { signInLink } from "../../session/paths";
import { tabStorage } from "../../storage";
import { Conflict, Version } from "./Conflict";
import { resumeLater, type Base } from "./drafts";
import {
  bytesOf,
  CATEGORY_MAX_CHARS,
  charsOf,
  CONTENT_MAX_BYTES,
  differing,
  FIELD_NAMES,
  isBlank,
  isEmpty,
  TITLE_MAX_CHARS,
  type FieldName,
  type Fields,
  type Status,
} from "./fields";
import { compareLines } from "./lines";
import { PictureList } from "./PictureList";
import type { Limits } from "./pictures";
import { UnknownOutcome } from "./saving";
import { TEXTS, type WriteTexts } from "./texts";
import type { Writing, WritingState } from "./writing";

/** Part of a limit from which the form counts. */
const NEAR = 0.9;

type FieldProblems = Partial<Record<FieldName, string>>;

interface Props {
  writing: Writing;
  limits: Limits | null;
  /** Field to begin with; null leaves the focus where it is. */
  begin: FieldName | null;
}

export function Editor({ writing, limits, begin }: Props) {
  const text = useTexts(TEXTS);
  const shared = useText();
  const user = useUser();
  const notice = useNotice();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { draft, copy, work, problem, theirs } = useSyncExternalStore(writing.subscribe, writing.current);
  const form = useRef<HTMLFormElement>(null);
  const [shown, setShown] = useState<FieldProblems>({});
  const [seen, setSeen] = useState<Base | null>(null);
  const [saysSome, setSaysSome] = useState(false);
  const [isDraggedOver, setDraggedOver] = useState(false);
  const { fields, base } = draft;
  const isVisible = base?.status === "visible";
  const canPublish = !isVisible && (!base?.isModerated || user?.isAdmin === true);
  const limitProblems = overLimits(fields, text);
  const problems = { ...shown, ...limitProblems };

  useKeeping(writing);
  useEffect(() => {
    if (begin) focusField(begin);
  }, [begin]);

  /** What is typed in a field ends what was said about it; a limit is counted anew each time. */
  const type = (typed: Partial<Fields>) => {
    setShown((before) => Object.fromEntries(Object.entries(before).filter(([field]) => !(field in typed))));
    writing.type(typed);
  };
  const focusField = (field: FieldName) => form.current?.querySelector<HTMLElement>(`[name="${field}"]`)?.focus();
  const focusFirst = (found: FieldProblems) => {
    const first = FIELD_NAMES.find((field) => found[field] !== undefined);
    if (first) focusField(first);
    return first !== undefined;
  };

  const save = async (status: Status | null) => {
    if (writing.current().work !== null) return;
    const found = { ...(status === "hidden" ? {} : blanks(fields, text)), ...limitProblems };
    setShown(found);
    setSaysSome(false);
    if (focusFirst(found)) return;
    if (status === "hidden" && isEmpty(fields) && draft.postId === null) return void notice({ text: text.nothingWritten });
    await finish(writing.save(status), status);
  };

  const finish = async (saving: Promise<boolean>, status: Status | null) => {
    const isSaved = await saving;
    const now = writing.current();
    // The address changes first; the form stays until the code of another page has come.
    const isHere = form.current !== null && location.pathname === pathOf(now.draft.postId);
    if (!isSaved && !isHere) return sayNotSaved(now);
    if (!isSaved) {
      const refused = refusals(now.problem, text);
      setShown(refused);
      if (focusFirst(refused) || now.problem || now.theirs) return;
      setSaysSome(true);
      const first = writing.pictures.firstRefused;
      if (first) form.current?.querySelector<HTMLElement>(`[data-remove="${first.key}"]`)?.focus();
      return;
    }
    setSeen(null);
    queries.removeQueries({ queryKey: ["posts", "one", now.draft.postId] });
    void refreshPosts(queries);
    if (status === "hidden") return void notice({ text: text.draftSaved });
    writing.discard();
    notice({ text: status === "visible" ? text.published : text.saved });
    if (isHere) await navigate(`/posts/${now.draft.postId}`);
  };

  /** Say on another page that the post is not saved, with the way back to it. */
  const sayNotSaved = ({ draft: { postId }, problem: fault, theirs: changed }: WritingState) => {
    let why = fault ? sentenceFor(fault, shared) : text.pictures.someRefused;
    if (changed) why = text.conflict.title;
    if (fault instanceof UnknownOutcome) why = text.unknown.text;
    const goOnThere = () => {
      resumeLater(tabStorage, postId);
      void navigate(pathOf(postId));
    };
    notice({ kind: "problem", text: text.notSaved(why), action: { label: text.offer.restore, run: goOnThere } });
  };

  const addFiles = (files: Iterable<File>) => writing.pictures.add([...files]);
  const hasFiles = (event: DragEvent) => event.dataTransfer.types.includes("Files");
  const drop = (event: DragEvent) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    setDraggedOver(false);
    addFiles(event.dataTransfer.files);
  };
  const paste = (event: ClipboardEvent) => {
    const { files, types } = event.clipboardData;
    // Office programs put a picture of the text beside the text; then the text is what is meant.
    if (files.length === 0 || types.includes("text/plain")) return;
    event.preventDefault();
    addFiles(files);
  };
  const takeTheirs = () => {
    const mine = fields;
    writing.takeTheirs();
    focusField("title");
    notice({ text: text.conflict.taken, action: { label: shared.undo, run: () => writing.type(mine) } });
  };
  const goOn = () => {
    setSeen(theirs);
    writing.goOn();
    focusField("content");
  };

  return (
    <form
      ref={form}
      className={isDraggedOver ? "editor dragged-over" : "editor"}
      noValidate
      aria-busy={work !== null}
      onSubmit={(event) => event.preventDefault()}
      onDragOver={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setDraggedOver(true);
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setDraggedOver(false);
      }}
      onDrop={drop}
    >
      {base?.isModerated && !isVisible && <p className="fine">{text.isModerated}</p>}
      {base && canPublish && <p className="fine">{text.isDraft}</p>}
      {theirs && (
        <Conflict
          theirs={theirs}
          mine={fields}
          keepMine={() => void finish(writing.keepMine(), canPublish ? "visible" : null)}
          takeTheirs={takeTheirs}
          goOn={goOn}
        />
      )}
      <TextField
        name="title"
        label={text.title}
        value={fields.title}
        problem={problems.title}
        counter={near(charsOf(fields.title), TITLE_MAX_CHARS) ? text.chars(charsOf(fields.title), TITLE_MAX_CHARS) : ""}
        isFixed={work === "publishing"}
        onType={(title) => type({ title })}
      />
      <CategoryField
        value={fields.category}
        problem={problems.category}
        isFixed={work === "publishing"}
        onType={(category) => type({ category })}
      />
      <ContentField
        value={fields.content}
        problem={problems.content}
        isFixed={work === "publishing"}
        onType={(content) => type({ content })}
        onPaste={paste}
      />
      {seen && <Seen theirs={seen} mine={fields} />}
      <PictureList pictures={writing.pictures} limits={limits} isVisible={isVisible} onChange={() => writing.keepSoon()} />
      {isDraggedOver && <p className="drop-here">{text.pictures.dropHere}</p>}
      {saysSome && (
        <p className="problem" role="alert">
          {text.pictures.someRefused}
        </p>
      )}
      <Outcome writing={writing} problem={problem} hasField={Object.keys(problems).length > 0} />
      <p className="actions">
        {/* No submit button: Enter in the title would publish what is half written. */}
        <button
          type="button"
          className="button primary"
          aria-disabled={work !== null}
          onClick={() => void save(canPublish ? "visible" : null)}
        >
          {work === "publishing" ? text.publishing : canPublish ? text.publish : text.save}
        </button>
        {canPublish && (
          <button type="button" className="button" aria-disabled={work !== null} onClick={() => void save("hidden")}>
            {work === "saving" ? text.saving : text.saveDraft}
          </button>
        )}
        <Working writing={writing} />
      </p>
      {copy === "refused" ? (
        <p className="field-error" role="alert">
          {text.notKept}
        </p>
      ) : (
        problem === null && <p className="fine">{text.kept}</p>
      )}
    </form>
  );
}

/** Keep the draft when the page goes out of sight, and ask before uploads are lost. */
function useKeeping(writing: Writing): void {
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => {
      if (writing.pictures.isBusy || writing.current().copy === "refused") event.preventDefault();
    };
    addEventListener("pagehide", writing.keepNow);
    addEventListener("beforeunload", ask);
    document.addEventListener("visibilitychange", writing.keepNow);
    return () => {
      removeEventListener("pagehide", writing.keepNow);
      removeEventListener("beforeunload", ask);
      document.removeEventListener("visibilitychange", writing.keepNow);
    };
  }, [writing]);
}

/** Said while publishing waits for pictures. */
function Working({ writing }: { writing: Writing }) {
  const text = useTexts(TEXTS);
  const { work } = useSyncExternalStore(writing.subscribe, writing.current);
  useSyncExternalStore(writing.pictures.subscribe, writing.pictures.current);
  return <span role="status">{work === "publishing" && writing.pictures.isBusy ? text.waitingForPictures : ""}</span>;
}

interface OutcomeProps {
  writing: Writing;
  problem: Error | null;
  /** True if the problem is said at its field. */
  hasField: boolean;
}

/** A refusal that belongs to no field, and what can be done about it. */
function Outcome({ writing, problem, hasField }: OutcomeProps) {
  const text = useTexts(TEXTS);
  const isSignedOut = useSessionState().status === "anonymous";
  const { draft } = writing.current();
  const code = problem instanceof ApiError ? problem.code : "";
  // The page says above the form that the session has ended.
  if (!problem || hasField || (isSignedOut && code.startsWith("token_"))) return null;
  if (problem instanceof UnknownOutcome) {
    return (
      <div className="problem" role="alert">
        <p>{text.unknown.text}</p>
        <p className="actions">
          <Link className="button" to="/my">
            {text.unknown.my}
          </Link>
          <button type="button" className="button" onClick={() => writing.startAnew()}>
            {text.unknown.anew}
          </button>
        </p>
      </div>
    );
  }
  if (code === "post_not_found" && draft.postId !== null) {
    return (
      <div className="problem" role="alert">
        <p>{text.gone}</p>
        <button type="button" className="button" onClick={() => writing.startAnew()}>
          {text.unknown.anew}
        </button>
      </div>
    );
  }
  return (
    <>
      <Problem error={problem} />
      <p className="fine">
        {text.safeHere}{" "}
        {code.startsWith("token_") && (
          <Link to={signInLink(pathOf(draft.postId))} onClick={() => resumeLater(tabStorage, draft.postId)}>
            {text.signIn}
          </Link>
        )}
      </p>
    </>
  );
}

/** Page on which a draft is written. */
export function pathOf(postId: string | null): string {
  return postId === null ? "/write" : `/posts/${postId}/edit`;
}

interface FieldProps {
  value: string;
  problem: string | undefined;
  isFixed: boolean;
  onType: (value: string) => void;
}

function TextField({ name, label, value, problem, counter, isFixed, onType }: FieldProps & { name: string; label: string; counter: string }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        name={name}
        dir="auto"
        autoComplete="off"
        value={value}
        readOnly={isFixed}
        aria-required="true"
        aria-invalid={problem !== undefined}
        aria-describedby={`${id}-count ${id}-error`}
        onChange={(event) => onType(event.target.value)}
      />
      <p className="fine counter" id={`${id}-count`}>
        {counter}
      </p>
      <FieldError id={`${id}-error`} problem={problem} />
    </div>
  );
}

function CategoryField({ value, problem, isFixed, onType }: FieldProps) {
  const text = useTexts(TEXTS);
  const id = useId();
  const { data = [] } = useQuery(categoriesQuery(useApi()));
  return (
    <div className="field">
      <label htmlFor={id}>{text.category}</label>
      <input
        id={id}
        name="category"
        dir="auto"
        list={`${id}-list`}
        autoComplete="off"
        value={value}
        readOnly={isFixed}
        aria-invalid={problem !== undefined}
        aria-describedby={`${id}-hint ${id}-error`}
        onChange={(event) => onType(event.target.value)}
      />
      <datalist id={`${id}-list`}>
        {data
          .filter((category) => category.is_open)
          .map((category) => (
            <option key={category.id} value={category.name} />
          ))}
      </datalist>
      <p className="fine" id={`${id}-hint`}>
        {text.categoryHint}
      </p>
      <FieldError id={`${id}-error`} problem={problem} />
    </div>
  );
}

function ContentField({ value, problem, isFixed, onType, onPaste }: FieldProps & { onPaste: (event: ClipboardEvent) => void }) {
  const text = useTexts(TEXTS);
  const { language } = useLanguage();
  const id = useId();
  const bytes = bytesOf(value);
  const count = (number: number) => number.toLocaleString(language);
  return (
    <div className="field">
      <label htmlFor={id}>{text.content}</label>
      <textarea
        id={id}
        name="content"
        dir="auto"
        rows={10}
        value={value}
        readOnly={isFixed}
        aria-required="true"
        aria-invalid={problem !== undefined}
        aria-describedby={`${id}-hint ${id}-count ${id}-error`}
        onChange={(event) => onType(event.target.value)}
        onPaste={onPaste}
      />
      <p className="fine" id={`${id}-hint`}>
        {text.contentHint}
      </p>
      <p className="fine counter" id={`${id}-count`}>
        {near(bytes, CONTENT_MAX_BYTES) ? text.bytes(count(bytes), count(CONTENT_MAX_BYTES)) : ""}
      </p>
      <FieldError id={`${id}-error`} problem={problem} />
    </div>
  );
}

function FieldError({ id, problem }: { id: string; problem: string | undefined }) {
  return (
    <p className="field-error" id={id} aria-live="polite">
      {problem}
    </p>
  );
}

/** The text that was saved before, to copy from while one goes on editing. */
function Seen({ theirs, mine }: { theirs: Base; mine: Fields }) {
  const text = useTexts(TEXTS).conflict;
  return (
    <details className="card seen">
      <summary>{text.seen}</summary>
      <Version
        title={text.theirs}
        fields={theirs.fields}
        lines={compareLines(theirs.fields.content, mine.content).left}
        different={differing(theirs.fields, mine)}
      />
    </details>
  );
}

const near = (count: number, most: number): boolean => count >= most * NEAR;

function overLimits(fields: Fields, text: WriteTexts): FieldProblems {
  const found: FieldProblems = {};
  if (charsOf(fields.title) > TITLE_MAX_CHARS) found.title = text.tooLong(TITLE_MAX_CHARS);
  if (charsOf(fields.category) > CATEGORY_MAX_CHARS) found.category = text.tooLong(CATEGORY_MAX_CHARS);
  if (bytesOf(fields.content) > CONTENT_MAX_BYTES) found.content = text.tooManyBytes(CONTENT_MAX_BYTES);
  return found;
}

function blanks(fields: Fields, text: WriteTexts): FieldProblems {
  const found: FieldProblems = {};
  if (isBlank(fields.title)) found.title = text.blank;
  if (isBlank(fields.content)) found.content = text.blank;
  return found;
}

/** The service's refusals by field. A refusal to create a category does not name its field. */
function refusals(problem: Error | null, text: WriteTexts): FieldProblems {
  if (!(problem instanceof ApiError)) return {};
  const found: FieldProblems = {};
  for (const field of FIELD_NAMES) {
    const message = problem.forField(field);
    if (message !== undefined) found[field] = message;
  }
  if (problem.code === "category_limit_reached" || problem.code === "category_merging") found.category ??= problem.message;
  if (problem.code === "forbidden") found.category ??= `${problem.message} ${text.newCategory}`;
  return found;
}
