import { useQueryClient } from "@tanstack/react-query";
import { deletePost, forgetAfterAction, purgePost, setStatus, type Standing } from "../../api/moderation";
import { useNotice } from "../../components/notices";
import { useApi } from "../../context";
import { useTexts } from "../../i18n/language";
import { ActionDialog } from "./ActionDialog";
import { ADMIN_TEXTS } from "./texts";

export type PostAction = "hide" | "restore" | "delete" | "purge";

interface Props {
  action: PostAction;
  post: { id: string; No: number; title: string };
  /** Called with what the post is then, before the dialog closes. */
  onDone: (standing: Standing) => void;
  onClose: () => void;
}

/** An action on one post. Its number is typed before it is erased. */
export function PostActionDialog({ action, post, onDone, onClose }: Props) {
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();
  const texts = useTexts(ADMIN_TEXTS);

  async function act(reason: string): Promise<void> {
    let said: string = texts.done[action];
    let standing: Standing;
    if (action === "purge") {
      const { message, complete } = await purgePost(api, post.id, reason);
      if (!complete) said = message;
      standing = { status: "purged", hidden_by: null };
    } else {
      standing = await actOnPost(action)(api, post.id, reason);
    }
    onDone(standing);
    forgetAfterAction(queries, post.id, action === "purge");
    notice({ text: said });
  }

  return (
    <ActionDialog
      title={`${texts.actions[action]}: ${post.title || texts.untitled}`}
      about={texts.about[action]}
      action={texts.actions[action]}
      isDanger={action === "delete" || action === "purge"}
      confirm={action === "purge" ? String(post.No) : undefined}
      act={act}
      onClose={onClose}
    />
  );
}

type Act = (...from: Parameters<typeof deletePost>) => Promise<Standing>;

/** Request of an action on one post. */
export function actOnPost(action: Exclude<PostAction, "purge">): Act {
  if (action === "delete") return deletePost;
  return (api, id, reason) => setStatus(api, id, action === "hide" ? "hidden" : "visible", reason);
}

/** The two actions on a post, by its status: one on its visibility, one towards its end. */
export function actionsOn(status: Standing["status"]): PostAction[] {
  if (status === "purged") return [];
  return [status === "visible" ? "hide" : "restore", status === "deleted" ? "purge" : "delete"];
}
