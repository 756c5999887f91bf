import { Link } from "react-router";
import type { PostSummary } from "../api/posts";
import { useText } from "../i18n/language";
import { Time } from "./Time";

/** Rows of posts: title, then who, when and how many. */
export function PostList({ posts }: { posts: readonly PostSummary[] }) {
  return (
    <ul className="post-list">
      {posts.map((post) => (
        <li key={post.id}>
          <PostRow post={post} />
        </li>
      ))}
    </ul>
  );
}

function PostRow({ post }: { post: PostSummary }) {
  const text = useText();
  return (
    <article className="post-row">
      <h2 dir="auto">
        <Link to={`/posts/${post.id}`}>{post.title}</Link>
      </h2>
      <p className="facts">
        <span dir="auto">{post.username}</span>
        <Time at={post.created_at} />
        <span>{text.post.views(post.view_count)}</span>
        <span>{text.post.likes(post.like_count)}</span>
        <span>{text.post.comments(post.comment_count)}</span>
      </p>
    </article>
  );
}
