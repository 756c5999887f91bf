import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate } from "react-router";
import { forgetAfterAction, pinPost, pinQuery, unpinPost, type PinScope } from "../../api/moderation";
import type { Post, VersionedPost } from "../../api/posts";
import { useNotice } from "../../components/notices";
import { useApi } from "../../context";
import { useTexts } from "../../i18n/language";
import { ActionDialog } from "../admin/ActionDialog";
import { hrefWith, userHref } from "../admin/parts";
import { actionsOn, PostActionDialog, type PostAction } from "../admin/PostActionDialog";
import { ADMIN_TEXTS, type AdminTexts } from "../admin/texts";
import "../admin/admin.css";

/** A moderator's panel on a post's page: its state, and all that can be done to it. */
export default function Moderation({ versioned: { post } }: { versioned: VersionedPost }) {
  const texts = useTexts(ADMIN_TEXTS);
  const queries = useQueryClient();
  const [asked, setAsked] = useState<PostAction | null>(null);
  const navigate = useNavigate();

  return (
    <section className="card moderation" aria-labelledby="moderation">
      <h2 id="moderation">{texts.post.title}</h2>
      <p className={post.status === "visible" ? undefined : "warning"}>{standing(post, texts)}</p>
      <div className="row-actions">
        {actionsOn(post.status).map((action, index) => (
          // By place: the button that is pressed stays, with its focus, and becomes the next action.
          <button key={index} className={index === 1 ? "button small danger" : "button small"} onClick={() => setAsked(action)}>
            {texts.actions[action]}
          </button>
        ))}
        {post.user_id !== null && (
          <Link className="button small" to={userHref(post.user_id)}>
            {texts.post.user}
          </Link>
        )}
        <Link className="button small" to={hrefWith("/admin/log", { post_id: post.id })}>
          {texts.post.log}
        </Link>
      </div>
      {post.status === "visible" && <Pins post={post} />}
      {asked && (
        <PostActionDialog
          action={asked}
          post={post}
          onDone={({ status, hidden_by }) => {
            // The page has nothing to show any more; what is left of the post is its log.
            if (status === "purged") return void navigate(hrefWith("/admin/log", { post_id: post.id }), { replace: true });
            // At once, as the answer says it; the post is read again after it.
            queries.setQueryData<VersionedPost>(["posts", "one", post.id], (known) => known && { ...known, post: { ...known.post, status, hidden_by } });
          }}
          onClose={() => setAsked(null)}
        />
      )}
    </section>
  );
}

function standing(post: Post, { post: { stands } }: AdminTexts): string {
  if (post.status === "hidden") return post.hidden_by === "moderator" ? stands.hiddenModerator : stands.hiddenAuthor;
  return stands[post.status];
}

type PinAction = PinScope | "remove";

function Pins({ post }: { post: Post }) {
  const { pin: words } = useTexts(ADMIN_TEXTS);
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();
  const pinned = useQuery(pinQuery(api, post)).data ?? null;
  const [asked, setAsked] = useState<PinAction | null>(null);

  async function act(action: PinAction, reason: string): Promise<void> {
    if (action === "remove") await unpinPost(api, post.id, reason);
    else await pinPost(api, post.id, action, reason);
    forgetAfterAction(queries, post.id);
    notice({ text: action === "remove" ? words.removed : words.done });
  }

  // A pin on all lists covers that of the category; each button stays in its place, so that the focus has one.
  const buttons: [PinAction, boolean][] = [
    ["all", pinned === "all"],
    ["category", pinned !== null],
    ["remove", pinned === null],
  ];
  return (
    <div role="group" aria-label={words.label}>
      {pinned !== null && <p className="outcome">{words.stands[pinned]}</p>}
      <div className="row-actions">
        {buttons.map(([action, isIdle]) => (
          <button key={action} className="button small" aria-disabled={isIdle} onClick={() => !isIdle && setAsked(action)}>
            {words[action]}
          </button>
        ))}
      </div>
      {asked && (
        <ActionDialog
          title={`${words[asked]}: ${post.title}`}
          about={asked === "remove" ? words.removeAbout : words.about}
          action={words[asked]}
          act={(reason) => act(asked, reason)}
          onClose={() => setAsked(null)}
        />
      )}
    </div>
  );
}
