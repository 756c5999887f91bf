import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { Link, useLocation, useNavigationType, useSearchParams } from "react-router";
import { ApiError } from "../../api/errors";
import { postPage, type ListChoice, type PostPage } from "../../api/posts";
import { Loading } from "../../components/Loading";
import { PageTitle } from "../../components/PageTitle";
import { PinnedList, PostList } from "../../components/PostList";
import { Problem } from "../../components/problems";
import { useApi } from "../../context";
import { useText } from "../../i18n/language";
import { Categories } from "./Categories";
import { choiceIn, listLink } from "./choice";
import "./list.css";
import { SearchForm } from "./SearchForm";

export function ListPage() {
  const text = useText();
  const [query] = useSearchParams();
  const choice = choiceIn(query);
  const { data, error, isPlaceholderData, refetch } = useQuery(postPage(useApi(), choice));
  const refusal = error instanceof ApiError ? error : null;
  const inField = refusal?.forField("q");
  const inPlace = refusal?.forField("cursor");
  const isRefusedElsewhere = error !== null && inField === undefined && inPlace === undefined;
  const results = useNewPageFocus(choice.cursor, data !== undefined && !isPlaceholderData);
  const title = titleOf(inField === undefined ? choice : { ...choice, q: null }, text.list);
  return (
    <div className="list-page">
      <Categories choice={choice} />
      <div className="list-main">
        <header className="list-head">
          <PageTitle tab={title === text.list.title ? text.siteName : title}>{title}</PageTitle>
          <p role="status" className="fine">
            {data && !error && text.list.total(data.total, data.totalCapped)}
          </p>
        </header>
        <div className="list-tools">
          <SearchForm choice={choice} problem={inField} />
          <Order choice={choice} />
        </div>
        <div ref={results} tabIndex={-1} role="region" aria-label={title} aria-busy={isPlaceholderData} className="results">
          {isRefusedElsewhere && <Problem error={error} retry={() => void refetch()} />}
          {inPlace !== undefined && <Nothing words={text.list.brokenPlace} choice={choice} />}
          {data && (!error || isRefusedElsewhere) && <Posts page={data} choice={choice} />}
          {!data && !error && <Loading />}
        </div>
      </div>
    </div>
  );
}

function titleOf({ category, q }: ListChoice, text: ReturnType<typeof useText>["list"]): string {
  if (q !== null) return category === null ? text.found(q) : `${text.found(q)} · ${category}`;
  return category ?? text.title;
}

/** Give the focus to the posts of a page that a link of the pager opened: the link was at the end of the last ones. */
function useNewPageFocus(cursor: string | null, isLoaded: boolean) {
  const results = useRef<HTMLDivElement>(null);
  const shown = useRef(cursor);
  const arrival = useNavigationType();

  useEffect(() => {
    if (!isLoaded || shown.current === cursor) return;
    shown.current = cursor;
    const focused = document.activeElement; // the last page has no link to the next: it has taken the focus with it
    const isAtEnd = focused === document.body || focused?.closest(".pager, .empty");
    if (arrival !== "POP" && isAtEnd) results.current?.focus({ preventScroll: true });
  }, [cursor, isLoaded, arrival]);
  return results;
}

function Order({ choice }: { choice: ListChoice }) {
  const text = useText().list;
  const { sort, period } = choice;
  return (
    <div className="orders">
      <nav className="choices" aria-label={text.sort}>
        {(["latest", "popular"] as const).map((one) => (
          <Link key={one} to={listLink(choice, { sort: one })} aria-current={sort === one}>
            {text[one]}
          </Link>
        ))}
      </nav>
      {sort === "popular" && (
        <nav className="choices" aria-label={text.period.label}>
          {(["day", "week", "month", null] as const).map((one) => (
            <Link key={one} to={listLink(choice, { period: one })} aria-current={period === one}>
              {text.period[one ?? "all"]}
            </Link>
          ))}
        </nav>
      )}
    </div>
  );
}

function Posts({ page, choice }: { page: PostPage; choice: ListChoice }) {
  const text = useText().list;
  const { pathname, search } = useLocation();
  const list = pathname + search;
  const isEmpty = page.posts.length === 0;
  const words = choice.q !== null ? text.emptySearch : choice.period !== null ? text.emptyPeriod : text.empty;
  return (
    <>
      {page.pinned.length > 0 && <PinnedList posts={page.pinned} list={list} />}
      {isEmpty && choice.cursor === null && <p className="empty card">{words}</p>}
      {isEmpty && choice.cursor !== null && <Nothing words={text.pastEnd} choice={choice} />}
      {!isEmpty && <PostList posts={page.posts} list={list} />}
      {!isEmpty && <Pager page={page} choice={choice} />}
    </>
  );
}

/** Words in place of a page that is not there, and the way to the first one. */
function Nothing({ words, choice }: { words: string; choice: ListChoice }) {
  return (
    <div className="empty card">
      <p role="alert">{words}</p>
      <Link className="button" to={listLink(choice, {})}>
        {useText().list.toFirst}
      </Link>
    </div>
  );
}

function Pager({ page: { previous, next }, choice }: { page: PostPage; choice: ListChoice }) {
  const text = useText().list;
  if (previous === null && next === null) return null;
  return (
    <nav className="pager" aria-label={text.pages}>
      {previous !== null && (
        <>
          <Link className="button" to={listLink(choice, {})}>
            <span aria-hidden="true">«</span> {text.first}
          </Link>
          <Link className="button" rel="prev" to={listLink(choice, { cursor: previous })}>
            <span aria-hidden="true">‹</span> {text.previous}
          </Link>
        </>
      )}
      {next !== null && (
        <Link className="button next" rel="next" to={listLink(choice, { cursor: next })}>
          {text.next} <span aria-hidden="true">›</span>
        </Link>
      )}
    </nav>
  );
}
