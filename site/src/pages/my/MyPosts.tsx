/** One's own posts, with what one can do to each. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useLayoutEffect, useRef } from "react";
import { Link, useSearchParams } from "react-router";
import { refreshPosts, type PostSummary } from "../../api/posts";
import { useCanUndo, useDeletion, useIsLeaving } from "../../components/deletion";
import { focusMain } from "../../components/focus";
import { Loading } from "../../components/Loading";
import { useNotice } from "../../components/notices";
import { Problem, sentenceFor } from "../../components/problems";
import { Time } from "../../components/Time";
import { useApi } from "../../context";
import { useText, useTexts } from "../../i18n/language";
import { myPage, setStatus } from "./queries";
import "./my-posts.css";

const TEXTS = {
  ko: {
    total: (count: number) => `글 ${count}개`,
    empty: "아직 쓴 글이 없습니다.",
    gone: "이 페이지에는 글이 없습니다.",
    private: "나만 보기",
    privateHint: "나만 볼 수 있는 글입니다(임시 글이거나 숨긴 글).",
    moderated: "관리자가 숨김",
    moderatedHint: "관리자가 숨긴 글입니다. 나는 볼 수 있지만 관리자만 다시 공개할 수 있습니다.",
    hide: "숨기기",
    show: "공개하기",
    hidden: "글을 숨겼습니다. 이제 나만 볼 수 있습니다.",
    shown: "글을 공개했습니다.",
    failed: (why: string) => `글의 상태를 바꾸지 못했습니다. ${why}`,
    deleting: "삭제됨",
    of: (action: string, title: string) => `${action}: ${title}`,
  },
  en: {
    total: (count: number) => (count === 1 ? "1 post" : `${count} posts`),
    empty: "You have not written a post yet.",
    gone: "There are no posts on this page.",
    private: "Only you",
    privateHint: "Only you see this post: a draft, or one that you have hidden.",
    moderated: "Hidden by a moderator",
    moderatedHint: "A moderator has hidden this post. You still see it; only a moderator can show it again.",
    hide: "Hide",
    show: "Publish",
    hidden: "The post is hidden: only you see it now.",
    shown: "The post is published.",
    failed: (why: string) => `The post is as it was. ${why}`,
    deleting: "Deleted",
    of: (action: string, title: string) => `${action}: ${title}`,
  },
};

export function MyPosts() {
  const text = useText();
  const texts = useTexts(TEXTS);
  const [query] = useSearchParams();
  const cursor = query.get("cursor") || null;
  const { data, error, isPlaceholderData, refetch } = useQuery(myPage(useApi(), cursor));

  if (error && !data) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Loading />;
  if (data.posts.length === 0) {
    return (
      <>
        <p>{cursor === null ? texts.empty : texts.gone}</p>
        <Link className="button primary" to={cursor === null ? "/write" : "/my"}>
          {cursor === null ? text.nav.write : text.list.first}
        </Link>
      </>
    );
  }
  return (
    <div aria-busy={isPlaceholderData}>
      <p className="fine">{texts.total(data.total)}</p>
      <ul className="my-posts">
        {data.posts.map((post) => (
          <Row key={post.id} post={post} />
        ))}
      </ul>
      <Neighbours previous={data.previous} next={data.next} isFirst={cursor === null} />
    </div>
  );
}

function Row({ post }: { post: PostSummary }) {
  const text = useText();
  const texts = useTexts(TEXTS);
  const isLeaving = useIsLeaving(post.id);
  const row = useRef<HTMLLIElement>(null);

  // The row goes when its post is deleted, some time after the click; a focus in it would go, too.
  useLayoutEffect(() => {
    const shown = row.current;
    return () => {
      if (shown?.contains(document.activeElement)) focusMain();
    };
  }, []);

  return (
    <li ref={row} className={isLeaving ? "my-post leaving" : "my-post"}>
      <h2 dir="auto">
        {isLeaving ? <s>{post.title}</s> : <Link to={`/posts/${post.id}`}>{post.title}</Link>}
      </h2>
      <p className="facts">
        {isLeaving ? <span>{texts.deleting}</span> : <State post={post} />}
        <span>{post.category}</span>
        <Time at={post.created_at} />
        <span>{text.post.views(post.view_count)}</span>
        <span>{text.post.likes(post.like_count)}</span>
        <span>{text.post.comments(post.comment_count)}</span>
      </p>
      <Actions post={post} isLeaving={isLeaving} />
    </li>
  );
}

function State({ post }: { post: PostSummary }) {
  const texts = useTexts(TEXTS);
  if (post.status === "visible") return null;
  const isModerated = post.hidden_by === "moderator";
  return (
    <>
      <span className={isModerated ? "state moderated" : "state"}>{isModerated ? texts.moderated : texts.private}</span>
      <span className="hint">{isModerated ? texts.moderatedHint : texts.privateHint}</span>
    </>
  );
}

function Actions({ post, isLeaving }: { post: PostSummary; isLeaving: boolean }) {
  const text = useText();
  const texts = useTexts(TEXTS);
  const deletion = useDeletion();
  const canUndo = useCanUndo(post.id);
  const isSent = isLeaving && !canUndo;
  const act = () => (isLeaving ? deletion.undo(post.id) : deletion.start(post));
  const label = isLeaving ? text.undo : text.delete;
  return (
    <div className="actions">
      {!isLeaving && (
        <Link className="button small" to={`/posts/${post.id}/edit`} aria-label={texts.of(text.edit, post.title)}>
          {text.edit}
        </Link>
      )}
      {!isLeaving && post.hidden_by !== "moderator" && <Visibility post={post} />}
      {/* One button for both, so that the focus stays on it. */}
      <button
        className={isLeaving ? "button small" : "button small danger"}
        aria-label={texts.of(label, post.title)}
        aria-disabled={isSent}
        onClick={isSent ? undefined : act}
      >
        {label}
      </button>
    </div>
  );
}

function Visibility({ post }: { post: PostSummary }) {
  const text = useText();
  const texts = useTexts(TEXTS);
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();
  const isVisible = post.status === "visible";
  const label = isVisible ? texts.hide : texts.show;

  const change = useMutation({
    mutationFn: () => setStatus(api, post.id, isVisible ? "hidden" : "visible"),
    onSuccess: () => notice({ text: isVisible ? texts.hidden : texts.shown }),
    onError: (error) => notice({ kind: "problem", text: texts.failed(sentenceFor(error, text)) }),
    // After a refusal too: a moderator may have hidden the post meanwhile.
    onSettled: () => refreshPosts(queries),
  });

  return (
    <button
      className="button small"
      aria-label={texts.of(label, post.title)}
      aria-disabled={change.isPending}
      onClick={() => !change.isPending && change.mutate()}
    >
      {label}
    </button>
  );
}

function Neighbours({ previous, next, isFirst }: { previous: string | null; next: string | null; isFirst: boolean }) {
  const text = useText();
  if (isFirst && next === null) return null;
  const to = (cursor: string) => `/my?cursor=${encodeURIComponent(cursor)}`;
  return (
    <nav className="neighbours" aria-label={text.list.pages}>
      {!isFirst && (
        <Link className="button small" to="/my">
          {text.list.first}
        </Link>
      )}
      {previous !== null && (
        <Link className="button small" rel="prev" to={to(previous)}>
          {text.list.previous}
        </Link>
      )}
      {next !== null && (
        <Link className="button small" rel="next" to={to(next)}>
          {text.list.next}
        </Link>
      )}
    </nav>
  );
}
