import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useRef, useState } from "react";
import { Link, useParams } from "react-router";
import {
  deletePostsOf,
  forgetAfterAction,
  postTotal,
  suspend,
  unsuspend,
  userQuery,
  type UserState,
} from "../../api/moderation";
import { Loading } from "../../components/Loading";
import { useNotice } from "../../components/notices";
import { PageTitle } from "../../components/PageTitle";
import { Problem } from "../../components/problems";
import { useApi } from "../../context";
import { inFull } from "../../i18n/dates";
import { useLanguage, useTexts } from "../../i18n/language";
import { ActionDialog } from "./ActionDialog";
import { Field, hrefWith, numberIn, shortId, userHref } from "./parts";
import { pause } from "./pause";
import { dayOf, LENGTHS, suspensionEnd, type Length } from "./suspension";
import { followTask } from "./tasks";
import { ADMIN_TEXTS } from "./texts";

type Asked = "suspend" | "lift" | "delete";

export default function UserPage() {
  const { sub = "" } = useParams();
  const { user: words } = useTexts(ADMIN_TEXTS);
  const api = useApi();
  const user = useQuery(userQuery(api, sub));
  const posts = useQuery(postTotal(api, { user_id: sub }));
  const name = posts.data?.first?.username ?? shortId(sub);
  const error = user.error ?? posts.error;
  const retry = () => void Promise.all([user.refetch(), posts.refetch()]);
  return (
    <>
      <PageTitle>{words.title(name)}</PageTitle>
      {error && <Problem error={error} retry={retry} />}
      {user.isPending && !error && <Loading />}
      {user.data && <Facts user={user.data} />}
    </>
  );
}

function Facts({ user }: { user: UserState }) {
  const { user: words } = useTexts(ADMIN_TEXTS);
  const { language } = useLanguage();
  const [asked, setAsked] = useState<Asked | null>(null);
  const received = useQuery(postTotal(useApi(), { user_id: user.user_id, reported: "true" })).data?.total;
  const { posts, reports, user_id: sub, suspension } = user;
  const isUnknown = posts.visible + posts.hidden + posts.deleted + reports.made === 0 && !suspension;
  const counts: [string, number | undefined][] = [
    [words.visible, posts.visible],
    [words.hidden, posts.hidden],
    [words.deleted, posts.deleted],
    [words.reportsReceived, received],
    [words.reportsMade, reports.made],
  ];
  const links: [string, string][] = [
    [words.posts, hrefWith("/admin/posts", { user_id: sub })],
    [words.reportedPosts, hrefWith("/admin/posts", { user_id: sub, reported: "true" })],
    [words.logOn, hrefWith("/admin/log", { user_id: sub })],
    [words.logBy, hrefWith("/admin/log", { actor: sub })],
  ];
  return (
    <>
      <p className="fine">
        {words.id}: <code>{sub}</code>
      </p>
      {user.is_deactivated && <p>{words.deactivated}</p>}
      {isUnknown && <p>{words.never}</p>}
      <section className="card" aria-labelledby="counts">
        <h2 id="counts">{words.counts}</h2>
        <dl className="user-facts">
          {counts.map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{value === undefined ? "…" : numberIn(language, value)}</dd>
            </div>
          ))}
        </dl>
        <ul className="plain">
          {links.map(([label, to]) => (
            <li key={label}>
              <Link to={to}>{label}</Link>
            </li>
          ))}
        </ul>
        <div className="row-actions">
          <button
            className="button small danger"
            aria-disabled={posts.visible + posts.hidden === 0}
            onClick={() => posts.visible + posts.hidden > 0 && setAsked("delete")}
          >
            {words.deleteAll}
          </button>
        </div>
      </section>
      <section className="card" aria-labelledby="suspension">
        <h2 id="suspension">{words.suspension}</h2>
        <SuspensionFacts suspension={suspension} />
        {/* Both buttons stay in their places, so that the focus has one after an action. */}
        <div className="row-actions">
          <button className="button small danger" onClick={() => setAsked("suspend")}>
            {suspension ? words.change : words.suspend}
          </button>
          <button className="button small" aria-disabled={!suspension} onClick={() => suspension && setAsked("lift")}>
            {words.lift}
          </button>
        </div>
      </section>
      {asked === "suspend" && <SuspendDialog sub={sub} onClose={() => setAsked(null)} />}
      {asked === "lift" && <LiftDialog sub={sub} onClose={() => setAsked(null)} />}
      {asked === "delete" && <DeleteAllDialog user={user} onClose={() => setAsked(null)} />}
    </>
  );
}

function SuspensionFacts({ suspension }: Pick<UserState, "suspension">) {
  const texts = useTexts(ADMIN_TEXTS);
  const { user: words } = texts;
  const { language } = useLanguage();
  if (!suspension) return <p>{words.notSuspended}</p>;
  const { since, until, by, reason } = suspension;
  return (
    <>
      <p className="warning">{words.suspended}</p>
      <dl className="user-facts">
        <div>
          <dt>{words.since}</dt>
          <dd>{inFull(since, language)}</dd>
        </div>
        <div>
          <dt>{words.until}</dt>
          <dd>{until === null ? texts.values.endless : inFull(until, language)}</dd>
        </div>
        <div>
          <dt>{words.by}</dt>
          <dd>{by === "shell" ? texts.logs.shell : <Link to={userHref(by)}>{texts.logs.userLink(shortId(by))}</Link>}</dd>
        </div>
        <div>
          <dt>{texts.logs.why}</dt>
          <dd dir="auto">{reason ?? texts.logs.noReason}</dd>
        </div>
      </dl>
    </>
  );
}

interface DialogProps {
  sub: string;
  onClose: () => void;
}

function SuspendDialog({ sub, onClose }: DialogProps) {
  const { user: words } = useTexts(ADMIN_TEXTS);
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();
  const [length, setLength] = useState<Length>("none");
  const [isBad, setBad] = useState(false);
  const day = useRef<HTMLInputElement>(null);
  const id = useId();
  const end = () => suspensionEnd(length, day.current?.value ?? "", new Date());

  function check(): boolean {
    const isWrong = end() === undefined;
    setBad(isWrong);
    if (isWrong) day.current?.focus();
    return !isWrong;
  }

  async function act(reason: string): Promise<void> {
    await suspend(api, sub, end() ?? null, reason);
    forgetAfterAction(queries);
    notice({ text: words.suspendedDone });
  }

  return (
    <ActionDialog title={words.suspend} about={words.suspendAbout} action={words.suspend} isDanger check={check} act={act} onClose={onClose}>
      <Field id={`${id}-length`} label={words.length}>
        <select id={`${id}-length`} value={length} onChange={(event) => setLength(event.target.value as Length)}>
          {LENGTHS.map((each) => (
            <option key={each} value={each}>
              {words.lengths[each]}
            </option>
          ))}
        </select>
      </Field>
      {length === "date" && (
        <Field id={`${id}-day`} label={words.lastDay} error={isBad ? words.badDate : undefined}>
          <input
            ref={day}
            id={`${id}-day`}
            type="date"
            min={dayOf(new Date())}
            aria-invalid={isBad}
            aria-describedby={isBad ? `${id}-day-error` : undefined}
          />
        </Field>
      )}
    </ActionDialog>
  );
}

function LiftDialog({ sub, onClose }: DialogProps) {
  const { user: words } = useTexts(ADMIN_TEXTS);
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();

  async function act(reason: string): Promise<void> {
    await unsuspend(api, sub, reason);
    forgetAfterAction(queries);
    notice({ text: words.lifted });
  }

  return <ActionDialog title={words.lift} about={words.liftAbout} action={words.lift} act={act} onClose={onClose} />;
}

function DeleteAllDialog({ user, onClose }: { user: UserState; onClose: () => void }) {
  const { user: words, list } = useTexts(ADMIN_TEXTS);
  const { language } = useLanguage();
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();
  const [progress, setProgress] = useState<string | null>(null);
  // As it was when it was asked for: the work changes it.
  const [count] = useState(user.posts.visible + user.posts.hidden);
  const about = words.deleteAllAbout(numberIn(language, count));

  async function act(reason: string, signal: AbortSignal): Promise<void> {
    const waiting = (seconds: number) => {
      setProgress(list.waiting(seconds));
      return pause(seconds);
    };
    const ask = () => deletePostsOf(api, user.user_id, reason);
    const task = await followTask(ask, (each) => setProgress(words.deleting(each.done, each.total)), signal, waiting);
    forgetAfterAction(queries);
    if (task.state === "done") notice({ text: words.deletedAll(task.done) });
  }

  return (
    <ActionDialog
      title={words.deleteAll}
      about={user.suspension ? about : `${about} ${words.suspendFirst}`}
      action={words.deleteAll}
      isDanger
      confirm={String(count)}
      progress={progress}
      act={act}
      onClose={onClose}
    />
  );
}
