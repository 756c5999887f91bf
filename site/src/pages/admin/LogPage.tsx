import { useQuery } from "@tanstack/react-query";
import { useEffect, useId, useRef, type FormEvent, type ReactNode } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { logPage, type LogAction, type LogChoice, type LogEntry } from "../../api/moderation";
import { categoriesQuery, type Category } from "../../api/posts";
import { ApiError } from "../../api/errors";
import { Loading } from "../../components/Loading";
import { PageTitle } from "../../components/PageTitle";
import { Problem } from "../../components/problems";
import { Time } from "../../components/Time";
import { useApi, useUser } from "../../context";
import { inFull } from "../../i18n/dates";
import { useLanguage, useTexts } from "../../i18n/language";
import { changesOf } from "./changes";
import { Cell, Field, Headings, hrefWith, Pager, shortId, Total, userHref } from "./parts";
import { ADMIN_TEXTS } from "./texts";

const ID_FIELDS = ["actor", "post_id", "user_id"] as const;

function choiceIn(query: URLSearchParams): LogChoice {
  const value = (name: string): string | null => query.get(name)?.trim() || null;
  const action = value("action");
  return {
    actor: value("actor"),
    action: action !== null && action in ADMIN_TEXTS.ko.logs.actions ? (action as LogAction) : null,
    post_id: value("post_id"),
    user_id: value("user_id"),
    cursor: value("cursor"),
  };
}

export default function LogPage() {
  const texts = useTexts(ADMIN_TEXTS);
  const api = useApi();
  const [query] = useSearchParams();
  const choice = choiceIn(query);
  const page = useQuery(logPage(api, choice));
  const categories = useQuery(categoriesQuery(api));
  const isPending = page.isPending || categories.isPending; // without their names all categories would seem gone
  const shown = isPending || page.isError ? undefined : page.data;
  const refusal = page.error instanceof ApiError && page.error.status === 400 ? page.error : null;
  const columns = texts.logs;
  return (
    <>
      <PageTitle>{texts.logs.title}</PageTitle>
      <Filters choice={choice} refusal={refusal} />
      {isPending && <Loading />}
      {page.isError && <Problem error={page.error} retry={() => void page.refetch()} />}
      {shown && <Total page={shown} />}
      {shown && shown.rows.length > 0 && (
        <table role="table" className="admin-table" aria-label={texts.logs.region}>
          <Headings>{[columns.when, columns.who, columns.what, columns.on, columns.change, columns.why]}</Headings>
          <tbody role="rowgroup">
            {shown.rows.map((entry) => (
              <Entry key={entry.No} entry={entry} categories={categories.data ?? []} />
            ))}
          </tbody>
        </table>
      )}
      {shown && <Pager page={shown} />}
    </>
  );
}

function Filters({ choice, refusal }: { choice: LogChoice; refusal: ApiError | null }) {
  const texts = useTexts(ADMIN_TEXTS);
  const navigate = useNavigate();
  const me = useUser();
  const form = useRef<HTMLFormElement>(null);
  const id = useId();
  const labels = { actor: texts.logs.actor, post_id: texts.logs.post, user_id: texts.logs.user };
  const { actor, action, post_id, user_id } = choice;

  // The back button, and a link to somebody's entries, change the choice.
  useEffect(() => {
    const values: Record<string, string | null> = { actor, action, post_id, user_id };
    for (const field of form.current?.elements ?? []) {
      if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) field.value = values[field.name] ?? "";
    }
  }, [actor, action, post_id, user_id]);

  function find(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const values = new FormData(event.currentTarget);
    const names = [...ID_FIELDS, "action"];
    void navigate(hrefWith("/admin/log", Object.fromEntries(names.map((name) => [name, String(values.get(name)).trim()]))));
  }

  return (
    <form ref={form} className="card admin-filters" role="search" aria-label={texts.logs.filters} onSubmit={find}>
      {ID_FIELDS.map((name) => {
        const problem = refusal?.forField(name);
        return (
          <Field key={name} id={`${id}-${name}`} label={labels[name]} error={problem}>
            <input
              id={`${id}-${name}`}
              name={name}
              maxLength={36}
              autoComplete="off"
              aria-invalid={problem !== undefined}
              aria-describedby={problem && `${id}-${name}-error`}
            />
          </Field>
        );
      })}
      <Field id={`${id}-action`} label={texts.logs.action}>
        <select id={`${id}-action`} name="action">
          <option value="">{texts.any}</option>
          {Object.entries(texts.logs.actions).map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </select>
      </Field>
      <div className="row-actions">
        <button className="button primary">{texts.apply}</button>
        <Link className="button" to="/admin/log">
          {texts.clear}
        </Link>
        {me && (
          <Link className="button" to={hrefWith("/admin/log", { actor: me.sub })}>
            {texts.logs.mine}
          </Link>
        )}
      </div>
    </form>
  );
}

function Entry({ entry, categories }: { entry: LogEntry; categories: readonly Category[] }) {
  const texts = useTexts(ADMIN_TEXTS);
  const { language } = useLanguage();
  const { logs } = texts;
  const nameOf = (id: string) => categories.find((category) => category.id === id)?.name ?? null;
  const changes = changesOf(entry, { text: texts, moment: (iso) => inFull(iso, language), category: nameOf });
  return (
    <tr role="row">
      <Cell label={logs.when}>
        <Time at={entry.created_at} />
      </Cell>
      <Cell label={logs.who}>
        <Actor sub={entry.actor} />
      </Cell>
      <Cell label={logs.what}>{logs.actions[entry.action]}</Cell>
      <Cell label={logs.on}>
        <Subjects entry={entry} category={entry.category_id === null ? null : nameOf(entry.category_id)} />
      </Cell>
      <Cell label={logs.change}>
        <ul className="plain">
          {changes.map(({ label, before, after }) => (
            <li key={label} dir="auto">
              {label}: {before === null ? after : logs.from(before, after ?? texts.values.none)}
            </li>
          ))}
        </ul>
      </Cell>
      <Cell label={logs.why}>
        <span dir="auto">{entry.reason ?? <span className="fine">{logs.noReason}</span>}</span>
      </Cell>
    </tr>
  );
}

function Actor({ sub }: { sub: string }) {
  const { logs } = useTexts(ADMIN_TEXTS);
  const me = useUser();
  if (sub === "shell" || sub === "reports") return logs[sub];
  return <Link to={userHref(sub)}>{sub === me?.sub ? logs.me : logs.userLink(shortId(sub))}</Link>;
}

function Subjects({ entry, category }: { entry: LogEntry; category: string | null }) {
  const { logs, values } = useTexts(ADMIN_TEXTS);
  const links: ReactNode[] = [];
  if (entry.post_id !== null) {
    const words = logs.postLink(shortId(entry.post_id));
    links.push(entry.action === "purge" ? words : <Link to={`/posts/${entry.post_id}`}>{words}</Link>);
  }
  if (entry.user_id !== null) links.push(<Link to={userHref(entry.user_id)}>{logs.userLink(shortId(entry.user_id))}</Link>);
  if (entry.category_id !== null) links.push(logs.categoryLink(category ?? `${shortId(entry.category_id)} (${values.gone})`));
  return (
    <ul className="plain">
      {links.map((link, index) => (
        <li key={index} dir="auto">
          {link}
        </li>
      ))}
    </ul>
  );
}
