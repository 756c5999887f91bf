import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { Link } from "react-router";
import { categoriesQuery, type Category, type ListChoice } from "../../api/posts";
import { useMedia } from "../../components/media";
import { useApi } from "../../context";
import { useText } from "../../i18n/language";
import { biggestOf, isSameCategory, listLink } from "./choice";

/** Links beside the list; a board may have 1,000 categories. */
const SHOWN = 16;
/** Width from which the categories have a column of their own; `list.css` has it too. */
const BESIDE = "(width >= 56rem)";

/**
 * Choice of a category: beside the list where there is room, else behind a button of one line.
 *
 * Neither moves the list when the categories arrive after it.
 */
export function Categories({ choice }: { choice: ListChoice }) {
  const text = useText().list;
  const { data } = useQuery(categoriesQuery(useApi()));
  const isBeside = useMedia(BESIDE);
  const categories = data ?? [];
  const { biggest, others } = biggestOf(categories, SHOWN);
  const links = (some: readonly Category[]) => some.map((category) => <CategoryLink key={category.id} choice={choice} category={category} />);
  const first = (
    <ul>
      <AllLink choice={choice} />
      {links(biggest)}
    </ul>
  );
  const more = others.length > 0 && (
    <Folded key={choice.category} label={text.moreCategories(others.length)}>
      {() => <Finder categories={others} links={links} />}
    </Folded>
  );
  return (
    <nav className="categories" aria-label={text.categories}>
      {isBeside ? (
        <>
          <p className="categories-title" aria-hidden="true">
            {text.categories}
          </p>
          {first}
          {more}
        </>
      ) : (
        <Folded key={choice.category} label={text.inCategory(choice.category ?? text.all)}>
          {() => (
            <>
              {first}
              {others.length > 0 && <Finder categories={others} links={links} />}
            </>
          )}
        </Folded>
      )}
    </nav>
  );
}

function AllLink({ choice }: { choice: ListChoice }) {
  return (
    <li>
      <Link to={listLink(choice, { category: null })} aria-current={choice.category === null ? "page" : undefined}>
        {useText().list.all}
      </Link>
    </li>
  );
}

function CategoryLink({ choice, category }: { choice: ListChoice; category: Category }) {
  const text = useText();
  const isCurrent = isSameCategory(choice.category, category.name);
  return (
    <li>
      <Link to={listLink(choice, { category: category.name })} aria-current={isCurrent ? "page" : undefined}>
        <bdi>{category.name}</bdi>{" "}
        <span className="fine">
          <span aria-hidden="true">{text.count(category.post_count)}</span>
          <span className="visually-hidden">{text.list.total(category.post_count, false)}</span>
        </span>
      </Link>
    </li>
  );
}

/** Part that opens; its content is made only then, since it may be long. */
function Folded({ label, children }: { label: string; children: () => ReactNode }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <bdi>{label}</bdi>
      </summary>
      {isOpen && <div className="categories-more">{children()}</div>}
    </details>
  );
}

/** Categories with a field that finds one by a part of its name. */
function Finder({ categories, links }: { categories: Category[]; links: (some: readonly Category[]) => ReactNode }) {
  const text = useText().list;
  const [part, setPart] = useState("");
  const key = part.trim().normalize("NFC").toLowerCase();
  const found = categories.filter((category) => category.name.toLowerCase().includes(key));
  return (
    <>
      <input type="search" aria-label={text.findCategory} placeholder={text.findCategory} value={part} onChange={(event) => setPart(event.target.value)} />
      <ul>{links(found)}</ul>
      <p role="status" className="fine">
        {found.length === 0 && text.noCategory}
      </p>
    </>
  );
}
