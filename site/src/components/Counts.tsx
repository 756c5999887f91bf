import type { PostSummary } from "../api/posts";
import { useText } from "../i18n/language";
import { Icon, type IconName } from "./icons";

type Counted = Pick<PostSummary, "view_count" | "like_count" | "comment_count">;

/** Views, likes and comments of a post: an icon and a number for the eye, words for a screen reader. */
export function Counts({ post, likes = true }: { post: Counted; likes?: boolean }) {
  const { views, likes: liked, comments } = useText().post;
  return (
    <>
      <Count icon="view" count={post.view_count} words={views(post.view_count)} />
      {likes && <Count icon="heart" count={post.like_count} words={liked(post.like_count)} />}
      <Count icon="comment" count={post.comment_count} words={comments(post.comment_count)} />
    </>
  );
}

export function Count({ icon, count, words }: { icon: IconName; count: number; words: string }) {
  return (
    <span className="count" title={words}>
      <Icon name={icon} />
      <span aria-hidden="true">{useText().count(count)}</span>
      <span className="visually-hidden">{words}</span>
    </span>
  );
}
