import { lazy, useState } from "react";
import type { Post } from "../../api/posts";
import { LazyPart } from "../../components/CrashBoundary";
import { useUser } from "../../context";
import { useText } from "../../i18n/language";

const ReportDialog = lazy(() => import("./ReportDialog"));

/** Button that reports a visible post of somebody else. Its dialog is loaded when it is opened. */
export function ReportButton({ post }: { post: Post }) {
  const text = useText();
  const user = useUser();
  const [isOpen, setOpen] = useState(false);
  if (post.status !== "visible" || (user !== null && user.sub === post.user_id)) return null;
  return (
    <>
      <button className="button small" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        {text.post.report}
      </button>
      <LazyPart>{isOpen && <ReportDialog id={post.id} onClose={() => setOpen(false)} />}</LazyPart>
    </>
  );
}
