import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useRef, useState } from "react";
import { deleteCategory, editCategory, forgetAfterAction, mergeCategory, postTotal } from "../../api/moderation";
import type { Category } from "../../api/posts";
import { useNotice } from "../../components/notices";
import { useApi } from "../../context";
import { useLanguage, useTexts } from "../../i18n/language";
import { ActionDialog } from "./ActionDialog";
import { Field, numberIn } from "./parts";
import { pause } from "./pause";
import { followTask } from "./tasks";
import { ADMIN_TEXTS } from "./texts";

export type CategoryAction = "rename" | "close" | "reopen" | "merge" | "delete";

const NAME_MAX_CHARS = 50;

interface Props {
  action: CategoryAction;
  category: Category;
  categories: readonly Category[];
  /** Called where the category, and its row with the focus, is gone. */
  onGone: () => void;
  onClose: () => void;
}

/** An action on a category. */
export function CategoryDialog(props: Props) {
  if (props.action === "merge") return <MergeDialog {...props} />;
  if (props.action === "rename") return <RenameDialog {...props} />;
  return <PlainDialog {...props} action={props.action} />;
}

function RenameDialog({ category, onClose }: Props) {
  const { category: words } = useTexts(ADMIN_TEXTS);
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();
  const name = useRef<HTMLInputElement>(null);
  const id = useId();

  async function act(reason: string): Promise<void> {
    await editCategory(api, category.id, { name: name.current!.value.trim() }, reason);
    forgetAfterAction(queries);
    notice({ text: words.renamed });
  }

  return (
    <ActionDialog title={words.renameTitle(category.name)} action={words.rename} act={act} onClose={onClose}>
      <Field id={id} label={words.name}>
        <input ref={name} id={id} defaultValue={category.name} maxLength={NAME_MAX_CHARS} autoComplete="off" />
      </Field>
    </ActionDialog>
  );
}

function PlainDialog({ action, category, onGone, onClose }: Props & { action: "close" | "reopen" | "delete" }) {
  const { category: words } = useTexts(ADMIN_TEXTS);
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();
  const { id, name } = category;
  const about = { close: words.closeAbout, reopen: words.reopenAbout, delete: words.deleteAbout };
  const title = { close: words.closeTitle, reopen: words.reopenTitle, delete: words.deleteTitle };
  const done = { close: words.closedDone, reopen: words.reopened, delete: words.deleted };

  async function act(reason: string): Promise<void> {
    if (action === "delete") await deleteCategory(api, id, reason);
    else await editCategory(api, id, { is_open: action === "reopen" }, reason);
    forgetAfterAction(queries);
    if (action === "delete") onGone();
    notice({ text: done[action](name) });
  }

  return (
    <ActionDialog
      title={title[action](name)}
      about={about[action]}
      action={words[action]}
      isDanger={action === "delete"}
      act={act}
      onClose={onClose}
    />
  );
}

function MergeDialog({ category, categories, onGone, onClose }: Props) {
  const { category: words } = useTexts(ADMIN_TEXTS);
  const { list } = useTexts(ADMIN_TEXTS);
  const { language } = useLanguage();
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();
  const target = useRef<HTMLSelectElement>(null);
  const [isUnchosen, setUnchosen] = useState(false);
  const [progress, setProgress] = useState<string | null>(null);
  const [others] = useState(() => categories.filter(({ id }) => id !== category.id));
  const total = useQuery(postTotal(api, { category_id: category.id })).data?.total;
  const id = useId();

  function check(): boolean {
    const isChosen = target.current?.value !== "";
    setUnchosen(!isChosen);
    if (!isChosen) target.current?.focus();
    return isChosen;
  }

  async function act(reason: string, signal: AbortSignal): Promise<void> {
    const into = target.current!.value;
    const waiting = (seconds: number) => {
      setProgress(list.waiting(seconds));
      return pause(seconds);
    };
    const ask = () => mergeCategory(api, category.id, into, reason);
    const task = await followTask(ask, (each) => setProgress(words.merging(each.done, each.total)), signal, waiting);
    forgetAfterAction(queries);
    if (task.state !== "done") return;
    onGone();
    notice({ text: words.merged(task.done, others.find((each) => each.id === into)?.name ?? "") });
  }

  return (
    <ActionDialog
      title={words.mergeTitle(category.name)}
      about={total === undefined ? undefined : words.mergeAbout(numberIn(language, total))}
      action={words.merge}
      isDanger
      progress={progress}
      check={check}
      act={act}
      onClose={onClose}
    >
      <Field id={id} label={words.into} error={isUnchosen ? words.choose : undefined}>
        <select
          ref={target}
          id={id}
          defaultValue=""
          aria-invalid={isUnchosen}
          aria-describedby={isUnchosen ? `${id}-error` : undefined}
        >
          <option value="" disabled>
            {words.choose}
          </option>
          {others.map((each) => (
            <option key={each.id} value={each.id}>
              {each.name}
            </option>
          ))}
        </select>
      </Field>
    </ActionDialog>
  );
}
