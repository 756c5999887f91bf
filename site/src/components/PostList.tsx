import { Link } from "react-router";
import type { PostSummary } from "../api/posts";
import { useText } from "../i18n/language";
import { listLink, WHOLE_LIST } from "../pages/list/choice";
import { Count, Counts } from "./Counts";
import { useIsLeaving } from "./deletions";
import { Icon } from "./icons";
import "./post-list.css";
import { Time } from "./Time";

/** Pictures of the first rows are loaded at once, those of rows below the fold when they come near. */
const ROWS_IN_SIGHT = 6;

interface Props {
  posts: readonly PostSummary[];
  /** URL of the list that these are of; a post leads back to it. */
  list?: string;
}

/** Rows of posts: title and the text's start, who, when and how many; the first picture where there is one. */
export function PostList({ posts, list }: Props) {
  return (
    <ul className="post-list">
      {posts.map((post, place) => (
        <li key={post.id}>
          <PostRow post={post} list={list} isInSight={place < ROWS_IN_SIGHT} />
        </li>
      ))}
    </ul>
  );
}

function PostRow({ post, list, isInSight }: { post: PostSummary; list: string | undefined; isInSight: boolean }) {
  const text = useText();
  const isLeaving = useIsLeaving(post.id);
  const picture = post.media_files[0];
  return (
    <article className={isLeaving ? "post-row leaving" : "post-row"}>
      <div className="post-row-text">
        <h2>
          <StatusBadge post={isLeaving ? DELETED : post} />
          <Link to={`/posts/${post.id}`} state={{ list }}>
            <bdi>{post.title}</bdi>
          </Link>
        </h2>
        <p className="excerpt" dir="auto">
          {post.excerpt}
        </p>
        <p className="facts">
          {post.category !== null && (
            <Link className="category" to={listLink(WHOLE_LIST, { category: post.category })}>
              <span className="visually-hidden">{text.list.categories} </span>
              <bdi>{post.category}</bdi>
            </Link>
          )}
          <bdi className="author">{post.username}</bdi>
          <Time at={post.created_at} />
          <span className="counts">
            <Counts post={post} />
            {post.media_count > 1 && <Count icon="picture" count={post.media_count} words={text.post.images(post.media_count)} />}
          </span>
        </p>
      </div>
      {picture && <img className="thumbnail" src={picture.thumbnail_url} alt="" width="96" height="72" loading={isInSight ? "eager" : "lazy"} />}
    </article>
  );
}

const DELETED = { status: "deleted", hidden_by: null } as const;

/** Word about a post that not everybody sees; none for a visible one. */
export function StatusBadge({ post }: { post: Pick<PostSummary, "status" | "hidden_by"> }) {
  const { draft, hidden, deleted } = useText().post;
  if (post.status === "visible") return null;
  const word = post.status === "deleted" ? deleted : post.hidden_by === "author" ? draft : hidden;
  return <span className="badge">{word}</span>;
}

/** Pinned posts, one line each. */
export function PinnedList({ posts, list }: Props) {
  const text = useText();
  return (
    <ul className="pinned-list" aria-label={text.list.pinned}>
      {posts.map((post) => (
        <li key={post.id}>
          <span className="badge">
            <Icon name="pin" />
            {text.list.pinned}
          </span>
          <Link to={`/posts/${post.id}`} state={{ list }}>
            <bdi>{post.title}</bdi>
          </Link>
          <span className="facts">
            <Time at={post.created_at} />
          </span>
        </li>
      ))}
    </ul>
  );
}
