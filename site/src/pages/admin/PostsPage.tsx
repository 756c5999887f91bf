import { useQuery, useQueryClient, type QueryKey } from "@tanstack/react-query";
import { useEffect, useId, useRef, useState, type FormEvent } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { adminPosts, type AdminPost, type Page, type PostsChoice, type Standing, type Status } from "../../api/moderation";
import { categoriesQuery } from "../../api/posts";
import { Loading } from "../../components/Loading";
import { PageTitle } from "../../components/PageTitle";
import { Problem } from "../../components/problems";
import { Time } from "../../components/Time";
import { useApi } from "../../context";
import { useTexts } from "../../i18n/language";
import { BulkDialog, type BulkAction } from "./BulkDialog";
import { Field, hrefWith, Pager, StandingWords, Total, UserLink } from "./parts";
import { actionsOn, PostActionDialog, type PostAction } from "./PostActionDialog";
import { ADMIN_TEXTS } from "./texts";

const STATUSES: readonly Status[] = ["visible", "hidden", "deleted"];
const BULK: readonly BulkAction[] = ["hide", "restore", "delete"];

function choiceIn(query: URLSearchParams): PostsChoice {
  return {
    status: STATUSES.find((status) => status === query.get("status")) ?? null,
    reported: query.get("reported") === "true" ? "true" : null,
    q: query.get("q")?.trim() || null,
    category: query.get("category") || null,
    user_id: query.get("user_id")?.trim() || null,
    cursor: query.get("cursor") || null,
  };
}

/** A row after an action: the post as it is now. An erased one is no post of the API's any more. */
export type Row = Omit<AdminPost, "status"> & { status: Standing["status"] };

export default function PostsPage() {
  const texts = useTexts(ADMIN_TEXTS);
  const [query] = useSearchParams();
  const choice = choiceIn(query);
  const asked = adminPosts(useApi(), choice);
  const page = useQuery(asked);
  return (
    <>
      <PageTitle>{texts.list.title}</PageTitle>
      <Filters choice={choice} />
      {page.isPending && <Loading />}
      {page.isError && <Problem error={page.error} retry={() => void page.refetch()} />}
      {page.data && <Total page={page.data} />}
      {page.data && <Rows key={query.toString()} rows={page.data.rows} queryKey={asked.queryKey} />}
      {page.data && <Pager page={page.data} />}
    </>
  );
}

function Filters({ choice }: { choice: PostsChoice }) {
  const texts = useTexts(ADMIN_TEXTS);
  const navigate = useNavigate();
  const categories = useQuery(categoriesQuery(useApi())).data?.map(({ name }) => name) ?? [];
  const form = useRef<HTMLFormElement>(null);
  const id = useId();
  const { status, reported, q, category, user_id } = choice;
  // The chosen one is there before the list of categories comes.
  const names = category === null || categories.includes(category) ? categories : [category, ...categories];

  // The back button changes the choice.
  useEffect(() => {
    const values: Record<string, string> = { status: status ?? "", q: q ?? "", category: category ?? "", user_id: user_id ?? "" };
    for (const field of form.current?.elements ?? []) {
      if (field instanceof HTMLInputElement && field.type === "checkbox") field.checked = reported !== null;
      else if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) field.value = values[field.name] ?? "";
    }
  }, [status, reported, q, category, user_id]);

  function find(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const values = new FormData(event.currentTarget);
    const value = (name: string): string | null => String(values.get(name) ?? "").trim() || null;
    const filters = ["status", "reported", "q", "category", "user_id"];
    void navigate(hrefWith("/admin/posts", Object.fromEntries(filters.map((name) => [name, value(name)]))));
  }

  return (
    <form ref={form} className="card admin-filters" role="search" aria-label={texts.list.filters} onSubmit={find}>
      <Field id={`${id}-q`} label={texts.list.search}>
        <input id={`${id}-q`} name="q" type="search" maxLength={100} />
      </Field>
      <Field id={`${id}-status`} label={texts.status.label}>
        <select id={`${id}-status`} name="status">
          <option value="">{texts.any}</option>
          {STATUSES.map((each) => (
            <option key={each} value={each}>
              {texts.status[each]}
            </option>
          ))}
        </select>
      </Field>
      <Field id={`${id}-category`} label={texts.list.category}>
        <select id={`${id}-category`} name="category">
          <option value="">{texts.any}</option>
          {names.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </Field>
      <Field id={`${id}-user`} label={texts.list.user}>
        <input id={`${id}-user`} name="user_id" maxLength={36} autoComplete="off" />
      </Field>
      <label className="check">
        <input type="checkbox" name="reported" value="true" /> {texts.list.reported}
      </label>
      <div className="row-actions">
        <button className="button primary">{texts.apply}</button>
        <Link className="button" to="/admin/posts">
          {texts.clear}
        </Link>
      </div>
    </form>
  );
}

function Rows({ rows, queryKey }: { rows: readonly Row[]; queryKey: QueryKey }) {
  const texts = useTexts(ADMIN_TEXTS);
  const queries = useQueryClient();
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [bulk, setBulk] = useState<BulkAction | null>(null);
  const chosen = rows.filter(({ id, status }) => selected.has(id) && status !== "purged");

  // The row stays where it is, though the filters may fit it no more: its next action is there.
  function change(id: string, standing: Standing): void {
    queries.setQueryData<Page<Row>>(queryKey, (page) => page && { ...page, rows: page.rows.map((row) => (row.id === id ? after(row, standing) : row)) });
  }

  const toggle = (id: string): void => setSelected((before) => (before.has(id) ? without(before, id) : new Set([...before, id])));

  if (rows.length === 0) return null;
  return (
    <>
      <div className="admin-bar" role="group" aria-label={texts.list.bulk}>
        <label className="check">
          <input
            type="checkbox"
            checked={chosen.length > 0 && chosen.length === rows.length}
            onChange={(event) => setSelected(new Set(event.target.checked ? rows.map(({ id }) => id) : []))}
          />
          {texts.list.selectAll}
        </label>
        <span role="status">{texts.list.selected(chosen.length)}</span>
        <span className="row-actions">
          {BULK.map((action) => (
            <button
              key={action}
              className="button small"
              aria-label={texts.list.bulkTitle[action]}
              aria-disabled={chosen.length === 0}
              onClick={() => chosen.length > 0 && setBulk(action)}
            >
              {texts.actions[action]}
            </button>
          ))}
        </span>
      </div>
      <ul className="admin-cards">
        {rows.map((row) => (
          <li key={row.id}>
            <PostCard row={row} isSelected={selected.has(row.id)} toggle={() => toggle(row.id)} change={change} />
          </li>
        ))}
      </ul>
      {bulk && (
        <BulkDialog
          action={bulk}
          posts={chosen}
          onEach={change}
          onDone={(left) => setSelected(new Set(left))}
          onClose={() => setBulk(null)}
        />
      )}
    </>
  );
}

function without(set: ReadonlySet<string>, id: string): ReadonlySet<string> {
  return new Set([...set].filter((each) => each !== id));
}

function after(row: Row, { status, hidden_by }: Standing): Row {
  const isDeleted = status === "deleted";
  return {
    ...row,
    status,
    hidden_by,
    report_count: 0,
    deleted_by: isDeleted ? (row.deleted_by ?? "moderator") : null,
    deleted_at: isDeleted ? (row.deleted_at ?? new Date().toISOString()) : null,
  };
}

interface CardProps {
  row: Row;
  isSelected: boolean;
  toggle: () => void;
  change: (id: string, standing: Standing) => void;
}

function PostCard({ row, isSelected, toggle, change }: CardProps) {
  const texts = useTexts(ADMIN_TEXTS);
  const [asked, setAsked] = useState<PostAction | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const title = row.title || texts.untitled;
  const isErased = row.status === "purged";
  const wasErased = useRef(isErased);

  useEffect(() => {
    // The buttons have gone with the post.
    if (isErased && !wasErased.current) heading.current?.focus();
    wasErased.current = isErased;
  }, [isErased]);

  return (
    <article className="card admin-row" aria-label={title}>
      <input type="checkbox" className="row-check" checked={isSelected && !isErased} disabled={isErased} onChange={toggle} aria-label={texts.list.select(title)} />
      <div>
        <h2 ref={heading} tabIndex={-1} dir="auto">
          {isErased ? texts.status.purged : <Link to={`/posts/${row.id}`}>{title}</Link>}
        </h2>
        <p className="facts">
          <StandingWords status={row.status} hidden_by={row.hidden_by ?? null} deleted_by={row.deleted_by} />
          {row.deleted_at !== null && <Time at={row.deleted_at} />}
          {row.report_count > 0 && <span className="warning">{texts.reportCount(row.report_count)}</span>}
          {!isErased && <UserLink sub={row.user_id} name={row.username} />}
          <span>No. {row.No}</span>
          {row.category !== null && <span dir="auto">{row.category}</span>}
          <Time at={row.created_at} />
          <Link to={hrefWith("/admin/log", { post_id: row.id })} aria-label={`${texts.post.log}: ${title}`}>
            {texts.log}
          </Link>
        </p>
        {row.excerpt && !isErased && (
          <p className="post-excerpt" dir="auto">
            {row.excerpt}
          </p>
        )}
        <div className="row-actions">
          {actionsOn(row.status).map((action, index) => (
            // By place: the button that is pressed stays, with its focus, and becomes the next action.
            <button
              key={index}
              className={index === 1 ? "button small danger" : "button small"}
              aria-label={`${texts.actions[action]}: ${title}`}
              onClick={() => setAsked(action)}
            >
              {texts.actions[action]}
            </button>
          ))}
        </div>
      </div>
      {asked && (
        <PostActionDialog action={asked} post={row} onDone={(standing) => change(row.id, standing)} onClose={() => setAsked(null)} />
      )}
    </article>
  );
}
