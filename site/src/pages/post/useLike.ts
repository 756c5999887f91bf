import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { likeStatusQuery, readerId, setLike, type LikeStatus } from "../../api/likes";
import { showCounts, type Post } from "../../api/posts";
import { sentenceFor } from "../../components/problems";
import { useNotice } from "../../components/notices";
import { useApi, useConfig, useUser } from "../../context";
import { useText } from "../../i18n/language";
import { browserStorage } from "../../storage";

interface LikeButtonState extends LikeStatus {
  /** Switches the like; null for a reader who must sign in first. */
  press: (() => void) | null;
}

/**
 * The reader's like of a post.
 *
 * A press shows at once. What the service has is brought there one request after another, so that quick presses end at
 * the last one; a refusal brings back what the service has, and says why.
 */
export function useLike(post: Post): LikeButtonState {
  const api = useApi();
  const user = useUser();
  const text = useText();
  const notify = useNotice();
  const queries = useQueryClient();
  const mustSignIn = useConfig().like_requires_auth && user === null;
  const reader = user === null && !mustSignIn ? readerId(browserStorage) : null;
  const { data: ofReader, refetch } = useQuery(likeStatusQuery(api, post.id, reader));
  const isLiked = reader === null ? post.is_liked === true : ofReader?.is_liked === true;
  const isKnown = reader === null || ofReader !== undefined;
  const wanted = useRef<boolean | null>(null);

  function show({ is_liked, like_count }: LikeStatus) {
    showCounts(queries, post.id, { like_count, ...(reader === null && { is_liked }) });
    if (reader !== null) queries.setQueryData<LikeStatus>(["liked", post.id, reader], { is_liked, like_count });
  }

  function refuse(error: Error) {
    notify({ kind: "problem", text: text.post.notLiked(sentenceFor(error, text)) });
  }

  async function bring(known: LikeStatus) {
    try {
      while (wanted.current !== null && wanted.current !== known.is_liked) {
        known = await setLike(api, post.id, wanted.current, reader);
      }
    } catch (error) {
      refuse(error as Error);
    }
    wanted.current = null;
    show(known);
  }

  function press(was: boolean) {
    const isBringing = wanted.current !== null;
    wanted.current = !was;
    // An answer that is on its way knows nothing of this press.
    void queries.cancelQueries({ queryKey: ["posts", "one", post.id] });
    show({ is_liked: !was, like_count: Math.max(0, post.like_count + (was ? -1 : 1)) });
    if (!isBringing) void bring({ is_liked: was, like_count: post.like_count });
  }

  async function pressOnceKnown() {
    const { data: known, error } = await refetch({ cancelRefetch: false });
    if (known) press(known.is_liked);
    else if (error) refuse(error);
  }

  const pressNow = isKnown ? () => press(isLiked) : () => void pressOnceKnown();
  return { is_liked: isLiked, like_count: post.like_count, press: mustSignIn ? null : pressNow };
}
