/**
 * Deletion of a post that its author can undo.
 *
 * The service lets only admins restore a deleted post, so nothing is sent while "Undo" is on the screen. The DELETE
 * leaves when the notice ends (20 s, or closed), when the user signs out, and when the page is left.
 *
 *     const deletion = useDeletion();
 *     deletion.start({ id, title, etag });   // shows the notice with "Undo"; returns at once
 *     deletion.undo(id);                     // for an "Undo" in the row itself
 *     useIsLeaving(id)                       // true from the click to the answer: strike the post out
 *     useCanUndo(id)                         // true until the DELETE is sent
 *
 * After success the lists are read again and the post's query is dropped; a refusal is said in a notice, and the post
 * is no longer struck out. Both work on whatever page the user is by then.
 */

import { useQueryClient } from "@tanstack/react-query";
import { bodyOf } from "../api/client";
import { ApiError } from "../api/errors";
import { refreshPosts } from "../api/posts";
import { useApi, useSession } from "../context";
import { useText, useTexts } from "../i18n/language";
import { deletions } from "./deletions";
import { useNotice } from "./notices";
import { sentenceFor } from "./problems";

export { useCanUndo, useIsLeaving } from "./deletions";

const TEXTS = {
  ko: {
    deleted: (title: string) => `‘${title}’ 글을 삭제했습니다.`,
    refused: (title: string, why: string) => `‘${title}’ 글을 삭제하지 못했습니다. ${why}`,
  },
  en: {
    deleted: (title: string) => `“${title}” is deleted.`,
    refused: (title: string, why: string) => `“${title}” could not be deleted. ${why}`,
  },
};

/** Characters of a title in a notice. */
const TITLE_CHARS = 40;

interface Deletable {
  id: string;
  title: string;
  /** From the post's own query: the service then refuses if somebody has edited the post meanwhile. */
  etag?: string | null;
}

interface Deletion {
  start: (post: Deletable) => void;
  undo: (id: string) => void;
}

export function useDeletion(): Deletion {
  const api = useApi();
  const session = useSession();
  const queries = useQueryClient();
  const notice = useNotice();
  const text = useText();
  const texts = useTexts(TEXTS);

  async function send({ id, title, etag }: Deletable): Promise<void> {
    // A request that outlives the page that sent it.
    const params = { path: { post_id: id }, header: etag ? { "If-Match": etag } : {} };
    try {
      await bodyOf(api.DELETE("/api/v1/posts/{post_id}", { params, keepalive: true }));
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const isGone = error instanceof ApiError && error.code === "post_not_found";
      if (!isGone) notice({ kind: "problem", text: texts.refused(shortened(title), sentenceFor(error, text)) });
    }
    queries.removeQueries({ queryKey: ["posts", "one", id], type: "inactive" });
    await refreshPosts(queries);
  }

  function start(post: Deletable): void {
    const { id } = post;
    if (deletions.has(id)) return;
    sendBeforeLeaving(session);
    const end = notice({
      text: texts.deleted(shortened(post.title)),
      action: { label: text.undo, run: () => undo(id) },
      onEnd: () => void deletions.finish(id),
    });
    deletions.hold(id, { send: () => send(post), onEnd: end });
  }

  const undo = (id: string): void => deletions.undo(id);
  return { start, undo };
}

function shortened(title: string): string {
  const characters = [...title];
  return characters.length > TITLE_CHARS ? `${characters.slice(0, TITLE_CHARS - 1).join("")}…` : title;
}

let isWatching = false;

function sendBeforeLeaving(session: { beforeSignOut: (task: () => Promise<void>) => void }): void {
  if (isWatching) return;
  isWatching = true;
  session.beforeSignOut(() => deletions.finishAll());
  addEventListener("pagehide", () => void deletions.finishAll());
}
