import { useQuery } from "@tanstack/react-query";
import { lazy, type MouseEvent } from "react";
import { Link, useLocation, useNavigate, useParams } from "react-router";
import { ApiError } from "../../api/errors";
import { isEdited, postQuery, type Post } from "../../api/posts";
import { Counts } from "../../components/Counts";
import { LazyPart } from "../../components/CrashBoundary";
import { Loading } from "../../components/Loading";
import { PageTitle } from "../../components/PageTitle";
import { StatusBadge } from "../../components/PostList";
import { Problem } from "../../components/problems";
import { Time } from "../../components/Time";
import { useApi, useUser } from "../../context";
import { useText } from "../../i18n/language";
import { listLink, WHOLE_LIST } from "../list/choice";
import { LikeButton } from "./LikeButton";
import { partsOf } from "./links";
import { Pictures } from "./Pictures";
import { ReportButton } from "./ReportButton";
import "./post.css";

const PostActions = lazy(() => import("./PostActions"));
const Moderation = lazy(() => import("./Moderation"));

export function PostPage() {
  const { id = "" } = useParams();
  const user = useUser();
  const { data, error, refetch } = useQuery(postQuery(useApi(), id));
  if (error && isMissing(error)) return <MissingPost />;
  if (!data) return error ? <UnreadPost error={error} retry={() => void refetch()} /> : <Loading />;
  const { post } = data;
  return (
    <div className="post-page">
      {error && <Problem error={error} retry={() => void refetch()} />}
      <article className="post card">
        <Head post={post} />
        <PostText text={post.content} />
        {post.media_files.length > 0 && <Pictures pictures={post.media_files} isPublic={post.status === "visible"} />}
        {/* By post: the history leads from one to another, while an answer for the first is on its way. */}
        <div key={post.id} className="post-foot">
          <LikeButton post={post} />
          <ReportButton post={post} />
        </div>
        {user !== null && user.sub === post.user_id && (
          <div className="post-actions-place">
            <LazyPart>
              <PostActions versioned={data} />
            </LazyPart>
          </div>
        )}
      </article>
      <BackToList />
      {user?.isAdmin && (
        <div className="moderation-place">
          <LazyPart>
            <Moderation versioned={data} />
          </LazyPart>
        </div>
      )}
    </div>
  );
}

/** True for an id that leads to no post: it is deleted, hidden from this reader, or was never there. */
function isMissing(error: Error): boolean {
  return error instanceof ApiError && (error.code === "post_not_found" || error.code === "invalid_post_id");
}

function UnreadPost({ error, retry }: { error: Error; retry: () => void }) {
  return (
    <div className="post-page">
      <PageTitle>{useText().post.unread}</PageTitle>
      <Problem error={error} retry={retry} />
      <BackToList />
    </div>
  );
}

function MissingPost() {
  const text = useText().post;
  return (
    <div className="post-page">
      <PageTitle>{text.missing}</PageTitle>
      <p>{text.missingText}</p>
      <BackToList />
    </div>
  );
}

function Head({ post }: { post: Post }) {
  const text = useText();
  return (
    <header className="post-head">
      <p className="post-where">
        {post.category !== null && (
          <Link to={listLink(WHOLE_LIST, { category: post.category })}>
            <span className="visually-hidden">{text.list.categories} </span>
            <bdi>{post.category}</bdi>
          </Link>
        )}
        <StatusBadge post={post} />
      </p>
      <PageTitle>{post.title}</PageTitle>
      <p className="facts">
        <span className="author">
          <span className="visually-hidden">{text.post.author} </span>
          <bdi>{post.username}</bdi>
        </span>
        <Time at={post.created_at} />
        {isEdited(post) && (
          <span>
            {text.post.edited} <Time at={post.updated_at} />
          </span>
        )}
        <span className="counts">
          <Counts post={post} likes={false} />
        </span>
      </p>
      <Audience post={post} />
    </header>
  );
}

/** Words about who sees the post, where not everybody does. */
function Audience({ post }: { post: Post }) {
  const { isDraft, isHidden, isDeleted } = useText().post;
  if (post.status === "visible") return null;
  return <p className="audience">{post.status === "deleted" ? isDeleted : post.hidden_by === "author" ? isDraft : isHidden}</p>;
}

/** Text of a post as it was written; addresses in it are links, and nothing else is. */
function PostText({ text }: { text: string }) {
  return (
    <div className="post-text" dir="auto">
      {partsOf(text).map((part, place) =>
        part.href === null ? (
          part.text
        ) : (
          <a key={place} href={part.href} rel="nofollow ugc noopener">
            {part.text}
          </a>
        ),
      )}
    </div>
  );
}

/** Link to the list that the reader came from, else to the first page; it goes back to the same place there. */
function BackToList() {
  const text = useText().post;
  const navigate = useNavigate();
  const { state } = useLocation();
  const list = listIn(state);

  function goBack(event: MouseEvent) {
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (list === null || !isPlain) return;
    event.preventDefault();
    void navigate(-1);
  }
  return (
    <p className="post-back">
      <Link className="button" to={list ?? "/"} onClick={goBack}>
        <span aria-hidden="true">‹</span> {text.back}
      </Link>
    </p>
  );
}

/** URL of the list in the state that a row's link has put beside the address. */
function listIn(state: unknown): string | null {
  const list = typeof state === "object" && state !== null && "list" in state ? state.list : null;
  return typeof list === "string" ? list : null;
}
