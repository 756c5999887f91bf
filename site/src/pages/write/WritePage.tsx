/** Writing a post, `/write`, and editing one, `/posts/:id/edit`. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Link, Navigate, useMatch, useNavigate } from "react-router";
import { ApiError } from "../../api/errors";
import type { VersionedPost } from "../../api/posts";
import { Loading } from "../../components/Loading";
import { useNotice } from "../../components/notices";
import { PageTitle } from "../../components/PageTitle";
import { Problem } from "../../components/problems";
import { SignIn } from "../../components/SignIn";
import { Time } from "../../components/Time";
import { useApi, useConfig, useSession, useSessionState, useUser } from "../../context";
import { useText, useTexts } from "../../i18n/language";
import { signInLink } from "../../session/paths";
import type { User } from "../../session/tokens";
import { browserStorage, tabStorage } from "../../storage";
import { DraftStore, isResumed, newDraft, resumeLater, type Draft, type KeptDraft } from "./drafts";
import { Editor, pathOf } from "./Editor";
import { differing, isEmpty, type FieldName } from "./fields";
import { baseOf } from "./saving";
import { BoardService } from "./service";
import { TEXTS } from "./texts";
import { uploadPicture } from "./upload";
import { Writing } from "./writing";
import "./write.css";

/** State of a navigation that leaves the form as it is; `PageTitle` and the scrolling know it. */
const STAYS = { replace: true, state: { stays: true } } as const;

/** State of the page before there is a form. */
type Opening =
  | { step: "loading" }
  /** `found` is null for a new post, and for one that was deleted. */
  | { step: "offer"; kept: KeptDraft; found: VersionedPost | null }
  | { step: "refused"; error: Error }
  | { step: "not-yours" };

/** The open form, and the post of the address at which it is open; null for a new one. */
interface Form {
  writing: Writing;
  at: string | null;
  /** True for a post that was begun here: it may be a draft at its address by now. */
  isNew: boolean;
  begin: FieldName | null;
}

/**
 * Page of both routes. They share one element, which stays when a new post gets its address: the form, its focus and
 * its uploads stay with it.
 */
export default function WritePage() {
  const text = useTexts(TEXTS);
  const postId = useMatch("/posts/:id/edit")?.params.id ?? null;
  const state = useSessionState();
  const [form, setForm] = useState<Form | null>(null);
  // Who has written; also after the session has ended.
  const [author, setAuthor] = useState<User | null>(state.user);
  if (state.user && state.user !== author) setAuthor(state.user);
  if (form && form.at !== postId && form.writing.current().draft.postId === postId) setForm({ ...form, at: postId });

  const isOpen = form !== null && form.at === postId;
  const isAnonymous = state.status === "anonymous";
  return (
    <>
      <PageTitle>{(isOpen ? form.isNew : postId === null) ? text.newTitle : text.editTitle}</PageTitle>
      {isOpen && isAnonymous && <SignedOut writing={form.writing} />}
      {!isOpen && isAnonymous && <Navigate to={signInLink(pathOf(postId))} replace />}
      {(isOpen || state.user) && author && (
        <Desk key={author.sub} user={author} postId={postId} form={form} isOpen={isOpen} setForm={setForm} />
      )}
      {!isOpen && state.status === "starting" && <Loading />}
    </>
  );
}

/** The session has ended while somebody wrote: what they typed stays, and is there again once they are back. */
function SignedOut({ writing }: { writing: Writing }) {
  const text = useTexts(TEXTS);
  const { postId } = writing.current().draft;
  useEffect(() => {
    writing.keepNow();
    resumeLater(tabStorage, postId);
  }, [writing, postId]);
  return (
    <div className="problem" role="alert">
      <p>
        {text.signedOut} {text.safeHere}
      </p>
      <SignIn className="button">{text.signIn}</SignIn>
    </div>
  );
}

interface DeskProps {
  user: User;
  postId: string | null;
  form: Form | null;
  isOpen: boolean;
  setForm: (form: Form | null) => void;
}

/** Opens the form for a user and an address. */
function Desk({ user, postId, form, isOpen, setForm }: DeskProps) {
  const text = useTexts(TEXTS);
  const shared = useText();
  const api = useApi();
  const session = useSession();
  const { api: base } = useConfig();
  const navigate = useNavigate();
  const notice = useNotice();
  const [opening, setOpening] = useState<Opening>({ step: "loading" });
  const [attempt, setAttempt] = useState(0);
  const [service] = useState(() => new BoardService(api));
  const [store] = useState(() => new DraftStore(browserStorage, user.sub));
  const limits = useQuery({
    queryKey: ["upload-limits"],
    queryFn: () => service.limits(),
    staleTime: Infinity,
    enabled: useUser() !== null, // the form stays when the session ends
  });
  const writing = form?.writing ?? null;

  const open = (draft: Draft, found: VersionedPost | null, begin: FieldName | null = null) => {
    const around = {
      upload: (id: string, file: File, onProgress: (part: number) => void, signal: AbortSignal) =>
        uploadPicture(base, session, id, file, onProgress, signal),
      list: (id: string) => service.pictures(id),
      remove: (id: string, mediaId: string) => service.removePicture(id, mediaId),
      preview: (file: File) => URL.createObjectURL(file),
      endPreview: (url: string) => URL.revokeObjectURL(url),
    };
    setForm({ writing: new Writing(service, store, around, draft, found?.post.media_files), at: postId, isNew: postId === null, begin });
  };

  const load = async (isCurrent: () => boolean) => {
    const isBack = isResumed(tabStorage, postId);
    const found = postId === null ? null : await service.read(postId);
    if (!isCurrent()) return;
    if (found && found.post.user_id !== user.sub && !user.isAdmin) return setOpening({ step: "not-yours" });
    const kept = store.read(postId);
    const start = startOf(found);
    if (!kept || !hasNews(kept, start)) return open(start, found);
    if (isBack) return open(kept, found, "content");
    setOpening({ step: "offer", kept, found });
  };

  useEffect(() => {
    if (isOpen) return;
    let isGone = false;
    setForm(null);
    setOpening({ step: "loading" });
    load(() => !isGone).catch((error: Error) => {
      const kept = error instanceof ApiError && error.code === "post_not_found" ? store.read(postId) : null;
      if (!isGone) setOpening(kept ? { step: "offer", kept, found: null } : { step: "refused", error });
    });
    return () => {
      isGone = true;
    };
    // Another address or another attempt alone: the open form is the outcome of this effect.
  }, [postId, attempt]);

  useEffect(() => {
    if (limits.data) writing?.pictures.setLimits(limits.data);
  }, [writing, limits.data]);
  const goOnAt = useRef<(id: string | null) => void>(() => {});
  useEffect(() => {
    goOnAt.current = (id) => {
      // The address changes first: nobody is called back to a form that they have left.
      if (location.pathname === pathOf(postId)) void navigate(pathOf(id), STAYS);
    };
  });
  useEffect(() => {
    if (!writing) return;
    writing.onPlace = (id) => goOnAt.current(id);
    return () => {
      writing.onPlace = () => {};
      writing.close();
    };
  }, [writing]);

  if (form && isOpen) return <Editor writing={form.writing} limits={limits.data ?? null} begin={form.begin} />;
  if (opening.step === "refused") return <Problem error={opening.error} retry={() => setAttempt(attempt + 1)} />;
  if (opening.step === "not-yours") {
    return (
      <>
        <p>{text.notYours}</p>
        <Link className="button" to={`/posts/${postId}`}>
          {text.toPost}
        </Link>
      </>
    );
  }
  if (opening.step === "loading") return <Loading />;
  const { kept, found } = opening;
  const discard = () => {
    store.remove(postId);
    if (kept.postId !== null && !found) setAttempt(attempt + 1);
    else open(startOf(found), found, "title");
    const takeBack = () => {
      store.keep(kept, kept.at);
      if (location.pathname === pathOf(postId)) return open(kept, found, "content");
      resumeLater(tabStorage, postId); // the page was left meanwhile
      void navigate(pathOf(postId));
    };
    notice({ text: text.offer.discarded, action: { label: shared.undo, run: takeBack } });
  };
  return <Offer kept={kept} isGone={kept.postId !== null && !found} restore={() => open(kept, found, "content")} discard={discard} />;
}

/** Draft of a post as the service has it. */
function startOf(found: VersionedPost | null): Draft {
  if (!found) return newDraft();
  const base = baseOf(found.post, found.etag);
  return { ...newDraft(base.fields), postId: found.post.id, base };
}

/** True if a kept draft has something that the service has not. */
function hasNews(kept: KeptDraft, start: Draft): boolean {
  if (kept.sent !== null || kept.removed.length > 0) return true;
  return start.base ? differing(kept.fields, start.fields).length > 0 : !isEmpty(kept.fields);
}

/** A draft that the browser has kept: go on with it, or not. */
function Offer({ kept, isGone, restore, discard }: { kept: KeptDraft; isGone: boolean; restore: () => void; discard: () => void }) {
  const { gone, offer: text } = useTexts(TEXTS);
  return (
    <section className="card offer" aria-labelledby="offer-title">
      <h2 id="offer-title">
        {kept.postId === null ? text.title : text.editTitle}
      </h2>
      {isGone && <p>{gone}</p>}
      <p className="kept-title" dir="auto">
        {kept.fields.title.trim() || text.untitled}
      </p>
      <p className="kept-text" dir="auto">
        {kept.fields.content}
      </p>
      <p className="fine">
        <Time at={new Date(kept.at).toISOString()} />
      </p>
      <p className="actions">
        <button type="button" className="button primary" onClick={restore}>
          {text.restore}
        </button>
        <button type="button" className="button" onClick={discard}>
          {text.discard}
        </button>
      </p>
    </section>
  );
}
