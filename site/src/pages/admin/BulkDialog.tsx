import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { forgetAfterAction, type Standing } from "../../api/moderation";
import { useNotice } from "../../components/notices";
import { sentenceFor } from "../../components/problems";
import { useApi } from "../../context";
import { useText, useTexts } from "../../i18n/language";
import { ActionDialog } from "./ActionDialog";
import { actionsOn, actOnPost, type PostAction } from "./PostActionDialog";
import { pause } from "./pause";
import { actOnEach, type Results } from "./tasks";
import { ADMIN_TEXTS } from "./texts";

export type BulkAction = Exclude<PostAction, "purge">;

interface Chosen {
  id: string;
  title: string;
  status: Standing["status"];
}

interface Props {
  action: BulkAction;
  posts: readonly Chosen[];
  onEach: (id: string, standing: Standing) => void;
  /** Called at the end with the ids of those that were refused. */
  onDone: (left: string[]) => void;
  onClose: () => void;
}

/** An action on the selected posts one by one. It leaves out those that are what it would make of them. */
export function BulkDialog({ action, posts, onEach, onDone, onClose }: Props) {
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();
  const text = useText();
  const texts = useTexts(ADMIN_TEXTS);
  const [fitting] = useState(() => posts.filter(({ status }) => actionsOn(status).includes(action)));
  const [progress, setProgress] = useState<string | null>(null);
  const [refused, setRefused] = useState<Results<Chosen>["refused"]>([]);

  async function act(reason: string, signal: AbortSignal): Promise<void | "stay"> {
    const waiting = (seconds: number) => {
      setProgress(texts.list.waiting(seconds));
      return pause(seconds);
    };
    const tried = (count: number) => setProgress(texts.list.progress(count, fitting.length));
    tried(0);
    const one = async (post: Chosen) => onEach(post.id, await actOnPost(action)(api, post.id, reason));
    const results = await actOnEach(fitting, one, tried, signal, waiting);
    forgetAfterAction(queries);
    if (results.refused.length === 0) {
      onDone([]);
      notice({ text: texts.list.bulkDone(results.done.length) });
      return;
    }
    onDone(results.refused.map(({ item }) => item.id));
    setRefused(results.refused);
    setProgress(texts.list.bulkFailed(results.done.length, results.refused.length));
    return "stay";
  }

  return (
    <ActionDialog
      title={`${texts.list.bulkTitle[action]} (${fitting.length})`}
      about={texts.about[action]}
      action={texts.actions[action]}
      isDanger={action === "delete"}
      progress={progress}
      act={act}
      onClose={onClose}
    >
      <ul className="bulk-list">
        {refused.map(({ item, error }) => (
          <li key={item.id} dir="auto">
            {texts.list.failed(item.title || texts.untitled, sentenceFor(error, text))}
          </li>
        ))}
      </ul>
    </ActionDialog>
  );
}
