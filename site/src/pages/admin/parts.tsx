/** Parts of several of the moderators' pages. */

import type { ReactNode } from "react";
import { Link, useSearchParams } from "react-router";
import type { Page, Standing } from "../../api/moderation";
import type { Language } from "../../i18n/preference";
import { useLanguage, useTexts } from "../../i18n/language";
import { ADMIN_TEXTS } from "./texts";

const SHORT_ID_CHARS = 8;

/** First characters of an id, for people. */
export const shortId = (id: string): string => id.slice(0, SHORT_ID_CHARS);

export const userHref = (sub: string): string => `/admin/users/${encodeURIComponent(sub)}`;

/** Address of a page with its filters; empty ones are left out. */
export function hrefWith(path: string, filters: Record<string, string | null>): string {
  const query = new URLSearchParams(Object.entries(filters).filter((entry): entry is [string, string] => !!entry[1]));
  return query.size ? `${path}?${query.toString()}` : path;
}

export const numberIn = (language: Language, value: number): string => new Intl.NumberFormat(language).format(value);

/** Number of rows of a list, read aloud when it changes. */
export function Total({ page }: { page: Pick<Page<unknown>, "total" | "totalCapped"> }) {
  const texts = useTexts(ADMIN_TEXTS);
  const { language } = useLanguage();
  return (
    <p className="fine" role="status">
      {page.total === 0 ? texts.empty : texts.total(numberIn(language, page.total), page.totalCapped)}
    </p>
  );
}

/** Links to the neighbouring pages, by cursor in the address. */
export function Pager({ page }: { page: Pick<Page<unknown>, "next" | "previous"> }) {
  const texts = useTexts(ADMIN_TEXTS);
  const [query] = useSearchParams();
  const isFirst = !query.has("cursor");
  if (isFirst && page.next === null) return null;
  const at = (cursor: string | null) => {
    const changed = new URLSearchParams(query);
    if (cursor === null) changed.delete("cursor");
    else changed.set("cursor", cursor);
    return `?${changed.toString()}`;
  };
  return (
    <nav className="admin-pager" aria-label={texts.pages}>
      {!isFirst && (
        <Link className="button small" to={at(null)}>
          {texts.first}
        </Link>
      )}
      {page.previous !== null && (
        <Link className="button small" to={at(page.previous)}>
          {texts.previous}
        </Link>
      )}
      {page.next !== null && (
        <Link className="button small" to={at(page.next)}>
          {texts.next}
        </Link>
      )}
    </nav>
  );
}

interface StandingProps extends Standing {
  deleted_by?: "author" | "moderator" | null;
}

/** Status of a post in words, with who has made it so. */
export function StandingWords({ status, hidden_by, deleted_by }: StandingProps) {
  const texts = useTexts(ADMIN_TEXTS);
  return <span className={`standing ${status}`}>{standingWords({ status, hidden_by, deleted_by: deleted_by ?? null })}</span>;

  function standingWords(post: Required<StandingProps>): string {
    if (post.status === "hidden" && post.hidden_by) return texts.hiddenBy[post.hidden_by];
    if (post.status === "deleted" && post.deleted_by) return texts.deletedBy[post.deleted_by];
    return texts.status[post.status];
  }
}

/** Link to the page of a user; the name alone where the post is erased. */
export function UserLink({ sub, name }: { sub: string | null; name: string }) {
  const texts = useTexts(ADMIN_TEXTS);
  if (sub === null) return <span>{texts.erasedName}</span>;
  return (
    <Link to={userHref(sub)} aria-label={texts.userLink(name)} dir="auto">
      {name}
    </Link>
  );
}

/** Cell of a table that becomes a card where there is little room; `label` is its column's heading then. */
export function Cell({ label, children, className }: { label: string; children: ReactNode; className?: string }) {
  return (
    <td role="cell" data-label={label} className={className}>
      <div>{children}</div>
    </td>
  );
}

/** Headings of a table's columns. */
export function Headings({ children }: { children: readonly string[] }) {
  return (
    <thead role="rowgroup">
      <tr role="row">
        {children.map((heading) => (
          <th key={heading} role="columnheader" scope="col">
            {heading}
          </th>
        ))}
      </tr>
    </thead>
  );
}

/** A labelled field of a form. */
export function Field({ id, label, children, error }: { id: string; label: string; children: ReactNode; error?: string | undefined }) {
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children}
      {error && (
        <p className="field-error" id={`${id}-error`}>
          {error}
        </p>
      )}
    </div>
  );
}
