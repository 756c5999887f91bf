import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Link, useSearchParams } from "react-router";
import {
  forgetAfterAction,
  reportPage,
  resolveReport,
  setStatus,
  type Decision,
  type ListedReport,
} from "../../api/moderation";
import { Loading } from "../../components/Loading";
import { useNotice } from "../../components/notices";
import { PageTitle } from "../../components/PageTitle";
import { Problem, sentenceFor } from "../../components/problems";
import { Time } from "../../components/Time";
import { useApi } from "../../context";
import { useText, useTexts } from "../../i18n/language";
import { REASONS } from "../post/reasons";
import { ActionDialog } from "./ActionDialog";
import { groupByPost, type PostReports } from "./groups";
import { hrefWith, Pager, StandingWords, Total, UserLink } from "./parts";
import { ADMIN_TEXTS } from "./texts";

export default function ReportsPage() {
  const texts = useTexts(ADMIN_TEXTS);
  const [query] = useSearchParams();
  const state = query.get("state") === "resolved" ? "resolved" : "open";
  const page = useQuery(reportPage(useApi(), state, query.get("cursor")));
  return (
    <>
      <PageTitle>{texts.report.title}</PageTitle>
      <div className="admin-bar">
        <nav className="choices" aria-label={texts.report.state}>
          <Link to="/admin/reports" aria-current={state === "open"}>
            {texts.report.open}
          </Link>
          <Link to="/admin/reports?state=resolved" aria-current={state === "resolved"}>
            {texts.report.resolved}
          </Link>
        </nav>
        <button className="button small" onClick={() => void page.refetch()}>
          {texts.refresh}
        </button>
      </div>
      {page.isPending && <Loading />}
      {page.isError && <Problem error={page.error} retry={() => void page.refetch()} />}
      {page.data && <Total page={page.data} />}
      {page.data && (
        <ul className="admin-cards">
          {groupByPost(page.data.rows).map((group) => (
            <li key={group.postId}>
              <ReportedPost group={group} />
            </li>
          ))}
        </ul>
      )}
      {page.data && <Pager page={page.data} />}
    </>
  );
}

/** Outcome of a decision, as the row says it. */
interface Outcome {
  sentence: string;
  /** Label of the button that makes the post visible again; null where there is nothing to undo. */
  undo: string | null;
}

function ReportedPost({ group }: { group: PostReports }) {
  const text = useText();
  const texts = useTexts(ADMIN_TEXTS);
  const api = useApi();
  const notice = useNotice();
  const queries = useQueryClient();
  const [asked, setAsked] = useState<Decision | null>(null);
  const [post, setPost] = useState(group.post);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const said = useRef<HTMLParagraphElement>(null);
  const title = post.title || texts.untitled;
  const { isOpen, reports } = group;

  // The list was read again, so what the row says of it is old.
  useEffect(() => {
    setPost(group.post);
    setOutcome(null);
  }, [group.post, group.postId, isOpen]);
  // The buttons are gone that had the focus; the sentence is read aloud in their place.
  useEffect(() => {
    if (outcome) said.current?.focus();
  }, [outcome]);

  async function decide(action: Decision, reason: string): Promise<void> {
    const { report, refusal } = await resolveReport(api, reports[0]!.id, action, reason);
    const changed = report.post.status !== post.status && report.post.status !== "visible";
    const undo = post.status === "visible" ? text.undo : texts.actions.restore;
    setPost(report.post);
    setOutcome({ sentence: refusal ?? texts.report.done[action], undo: refusal === null && changed ? undo : null });
    forgetAfterAction(queries, group.postId);
  }

  async function undo(): Promise<void> {
    try {
      setPost({ ...post, ...(await setStatus(api, group.postId, "visible", "")) } as ListedReport["post"]);
      setOutcome({ sentence: texts.report.undone, undo: null });
      forgetAfterAction(queries, group.postId);
    } catch (error) {
      notice({ kind: "problem", text: sentenceFor(error as Error, text) });
    }
  }

  return (
    <article className="card" aria-label={texts.report.of(title)}>
      <h2 dir="auto">
        <Link to={`/posts/${group.postId}`}>{title}</Link>
      </h2>
      <p className="facts">
        <StandingWords {...post} />
        <UserLink sub={post.user_id} name={post.username} />
        <Link to={hrefWith("/admin/log", { post_id: group.postId })} aria-label={`${texts.post.log}: ${title}`}>
          {texts.log}
        </Link>
      </p>
      {post.excerpt && (
        <blockquote className="post-excerpt" dir="auto">
          {post.excerpt}
        </blockquote>
      )}
      <ul className="report-list">
        {reports.map((report) => (
          <li key={report.id}>
            <ReportLine report={report} />
          </li>
        ))}
      </ul>
      {isOpen && !outcome && post.report_count > 1 && <p className="fine">{texts.report.more(post.report_count)}</p>}
      {isOpen && !outcome && (
        <div className="row-actions">
          {(["dismiss", "hide", "delete"] as const).map((decision) => (
            <button
              key={decision}
              className={decision === "delete" ? "button small danger" : "button small"}
              aria-label={`${texts.report.decide[decision]}: ${title}`}
              onClick={() => setAsked(decision)}
            >
              {texts.report.decide[decision]}
            </button>
          ))}
        </div>
      )}
      {outcome && (
        <div className="row-actions">
          <p className="outcome" ref={said} tabIndex={-1}>
            {outcome.sentence}
          </p>
          {outcome.undo !== null && (
            <button className="button small" aria-label={`${outcome.undo}: ${title}`} onClick={() => void undo()}>
              {outcome.undo}
            </button>
          )}
        </div>
      )}
      {asked && (
        <ActionDialog
          title={`${texts.report.decide[asked]}: ${title}`}
          about={texts.report.about[asked]}
          action={texts.report.decide[asked]}
          isDanger={asked === "delete"}
          act={(reason) => decide(asked, reason)}
          onClose={() => setAsked(null)}
        />
      )}
    </article>
  );
}

function ReportLine({ report }: { report: ListedReport }) {
  const texts = useTexts(ADMIN_TEXTS);
  const reasons = useTexts(REASONS);
  return (
    <>
      <p>
        <strong>{reasons[report.reason]}</strong>
        {report.text !== null && (
          <span className="report-text" dir="auto">
            {report.text}
          </span>
        )}
      </p>
      <p className="facts">
        <UserLink sub={report.user_id} name={texts.report.reporter} />
        <Time at={report.created_at} />
        {report.resolution !== null && (
          <span>{texts.report.resolvedAs(texts.report.resolution[report.resolution])}</span>
        )}
        {report.resolved_at !== null && <Time at={report.resolved_at} />}
      </p>
    </>
  );
}
