/** Actions of a post's author: edit, hide, show, and delete with an undo. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "react-router";
import { refreshPosts, type VersionedPost } from "../../api/posts";
import { useCanUndo, useDeletion, useIsLeaving } from "../../components/deletion";
import { useNotice } from "../../components/notices";
import { Problem } from "../../components/problems";
import { useApi, useUser } from "../../context";
import { useText, useTexts } from "../../i18n/language";
import { setStatus } from "../my/queries";

const TEXTS = {
  ko: {
    label: "내 글 관리",
    hide: "숨기기",
    show: "공개하기",
    hidden: "글을 숨겼습니다. 이제 나만 볼 수 있습니다.",
    shown: "글을 공개했습니다.",
  },
  en: {
    label: "Your post",
    hide: "Hide",
    show: "Make visible",
    hidden: "The post is hidden. Only you can see it now.",
    shown: "The post is visible.",
  },
};

export default function PostActions({ versioned }: { versioned: VersionedPost }) {
  const user = useUser();
  const { post } = versioned;
  if (!user || post.user_id !== user.sub || post.status === "deleted") return null;
  return <AuthorActions versioned={versioned} />;
}

function AuthorActions({ versioned: { post, etag } }: { versioned: VersionedPost }) {
  const shared = useText();
  const text = useTexts(TEXTS);
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();
  const navigate = useNavigate();
  const deletion = useDeletion();
  const isLeaving = useIsLeaving(post.id);
  const canUndo = useCanUndo(post.id);
  const isHidden = post.status === "hidden";
  const change = useMutation({
    mutationFn: () => setStatus(api, post.id, isHidden ? "visible" : "hidden"),
    // The post is read again while the button waits, so that it never says what is no longer so.
    onSuccess: async () => {
      await refreshPosts(queries);
      notice({ text: isHidden ? text.shown : text.hidden });
    },
  });
  const isModerated = post.hidden_by === "moderator";
  const remove = () => {
    deletion.start({ id: post.id, title: post.title, etag });
    void navigate("/");
  };

  return (
    <section className="post-actions" aria-label={text.label}>
      <p className="actions">
        {!isLeaving && (
          <Link className="button small" to={`/posts/${post.id}/edit`}>
            {shared.edit}
          </Link>
        )}
        {!isLeaving && !isModerated && (
          <button
            type="button"
            className="button small"
            aria-disabled={change.isPending}
            onClick={() => change.isPending || change.mutate()}
          >
            {isHidden ? text.show : text.hide}
          </button>
        )}
        {/* One button for both, so that the focus stays on it. */}
        <button
          type="button"
          className={isLeaving ? "button small" : "button small danger"}
          aria-disabled={isLeaving && !canUndo}
          onClick={() => (isLeaving ? deletion.undo(post.id) : remove())}
        >
          {isLeaving ? shared.undo : shared.delete}
        </button>
      </p>
      {change.error && <Problem error={change.error} />}
    </section>
  );
}
