import { useState } from "react";
import type { Post } from "../../api/posts";
import { Icon } from "../../components/icons";
import { SignIn } from "../../components/SignIn";
import { useText } from "../../i18n/language";
import { useLike } from "./useLike";

export function LikeButton({ post }: { post: Post }) {
  const text = useText();
  const { is_liked, like_count, press } = useLike(post);
  const [isAsked, ask] = useState(false);
  return (
    <div className="like">
      <button className="button like-button" aria-pressed={is_liked} onClick={press ?? (() => ask(true))}>
        <Icon name="heart" />
        {text.post.like} <span className="like-count">{text.count(like_count)}</span>
      </button>
      <span role="status" className="like-ask">
        {isAsked && press === null && (
          <>
            {text.post.signInToLike} <SignIn>{text.nav.signIn}</SignIn>
          </>
        )}
      </span>
    </div>
  );
}
