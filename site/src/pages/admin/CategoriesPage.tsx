import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useId, useRef, useState, type FormEvent } from "react";
import { Link } from "react-router";
import { ApiError } from "../../api/errors";
import { createCategory, editCategory, forgetAfterAction } from "../../api/moderation";
import { categoriesQuery, type Category } from "../../api/posts";
import { Loading } from "../../components/Loading";
import { useNotice } from "../../components/notices";
import { PageTitle } from "../../components/PageTitle";
import { Problem, sentenceFor } from "../../components/problems";
import { useApi } from "../../context";
import { useLanguage, useText, useTexts } from "../../i18n/language";
import { CategoryDialog, type CategoryAction } from "./CategoryDialog";
import { movedPositions } from "./order";
import { Cell, Field, Headings, hrefWith, numberIn } from "./parts";
import { ADMIN_TEXTS } from "./texts";

const NAME_MAX_CHARS = 50;

export default function CategoriesPage() {
  const texts = useTexts(ADMIN_TEXTS);
  const list = useQuery(categoriesQuery(useApi()));
  const [asked, setAsked] = useState<{ action: CategoryAction; category: Category } | null>(null);
  const title = useRef<HTMLDivElement>(null);
  const words = texts.category;
  const categories = list.data ?? [];

  return (
    <>
      <PageTitle>{words.title}</PageTitle>
      <NewCategory />
      {list.isPending && <Loading />}
      {list.isError && <Problem error={list.error} retry={() => void list.refetch()} />}
      <div ref={title} tabIndex={-1} className="unmarked" role="group" aria-label={words.title}>
        {categories.length > 0 && (
          <>
            <p className="fine">{words.order}</p>
            <table role="table" className="admin-table" aria-label={words.title}>
              <Headings>{[words.name, words.posts, words.state, words.position, words.actionsColumn]}</Headings>
              <tbody role="rowgroup">
                {categories.map((category, index) => (
                  <CategoryRow
                    key={category.id}
                    categories={categories}
                    index={index}
                    ask={(action) => setAsked({ action, category })}
                  />
                ))}
              </tbody>
            </table>
          </>
        )}
      </div>
      {asked && (
        <CategoryDialog
          {...asked}
          categories={categories}
          onGone={() => title.current?.focus()}
          onClose={() => setAsked(null)}
        />
      )}
    </>
  );
}

function NewCategory() {
  const text = useText();
  const texts = useTexts(ADMIN_TEXTS);
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const name = useRef<HTMLInputElement>(null);
  const id = useId();

  async function create(event: FormEvent): Promise<void> {
    event.preventDefault();
    const field = name.current!;
    setProblem(undefined);
    try {
      const wanted = field.value.trim();
      await createCategory(api, wanted);
      field.value = "";
      notice({ text: texts.category.created(wanted) });
      forgetAfterAction(queries);
    } catch (error) {
      const own = error instanceof ApiError ? error.forField("name") : undefined;
      setProblem(own ?? sentenceFor(error as Error, text));
    }
    field.focus();
  }

  return (
    <form className="card admin-filters" aria-label={texts.category.create} noValidate onSubmit={(event) => void create(event)}>
      <Field id={id} label={texts.category.name} error={problem}>
        <input
          ref={name}
          id={id}
          maxLength={NAME_MAX_CHARS}
          autoComplete="off"
          aria-invalid={problem !== undefined}
          aria-describedby={problem && `${id}-error`}
        />
      </Field>
      <div className="row-actions">
        <button className="button primary">{texts.category.create}</button>
      </div>
    </form>
  );
}

interface RowProps {
  categories: readonly Category[];
  index: number;
  ask: (action: CategoryAction) => void;
}

function CategoryRow({ categories, index, ask }: RowProps) {
  const { category: words } = useTexts(ADMIN_TEXTS);
  const { language } = useLanguage();
  const category = categories[index]!;
  const { name } = category;
  const actions: [CategoryAction, string][] = [
    ["rename", words.rename],
    category.is_open ? ["close", words.close] : ["reopen", words.reopen],
    ["merge", words.merge],
    ["delete", words.delete],
  ];
  return (
    <tr role="row">
      <th role="rowheader" scope="row" data-label={words.name}>
        <Link to={hrefWith("/admin/posts", { category: name })} dir="auto">
          {name}
        </Link>
      </th>
      <Cell label={words.posts}>{numberIn(language, category.post_count)}</Cell>
      <Cell label={words.state}>{category.is_open ? words.open : words.closed}</Cell>
      <Cell label={words.position}>
        <Position categories={categories} index={index} />
      </Cell>
      <Cell label={words.actionsColumn}>
        <div className="row-actions">
          {actions.map(([action, label], place) => (
            <button
              key={place}
              className={action === "delete" ? "button small danger" : "button small"}
              aria-label={words.of(label, name)}
              disabled={action === "merge" && categories.length < 2}
              onClick={() => ask(action)}
            >
              {label}
            </button>
          ))}
        </div>
      </Cell>
    </tr>
  );
}

/** Place of a category: by its number, or one up or down. */
function Position({ categories, index }: { categories: readonly Category[]; index: number }) {
  const text = useText();
  const { category: words } = useTexts(ADMIN_TEXTS);
  const api = useApi();
  const queries = useQueryClient();
  const notice = useNotice();
  const [problem, setProblem] = useState<string | null>(null);
  const [isMoving, setMoving] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const { id: categoryId, name, position } = categories[index]!;

  useEffect(() => {
    if (field.current) field.current.value = String(position);
  }, [position]);

  async function move(changes: { id: string; position: number }[]): Promise<void> {
    if (isMoving || changes.length === 0) return;
    setMoving(true);
    setProblem(null);
    try {
      for (const change of changes) await editCategory(api, change.id, { position: change.position });
      forgetAfterAction(queries);
      const list = await queries.fetchQuery({ ...categoriesQuery(api), staleTime: 0 });
      notice({ text: words.moved(name, list.findIndex((each) => each.id === categoryId) + 1) });
    } catch (error) {
      const own = error instanceof ApiError ? error.forField("position") : undefined;
      setProblem(own ?? sentenceFor(error as Error, text));
    } finally {
      setMoving(false);
    }
  }

  function save(event: FormEvent): void {
    event.preventDefault();
    const typed = field.current!.value.trim();
    if (/^-?\d{1,10}$/.test(typed)) return void move([{ id: categoryId, position: Number(typed) }]);
    setProblem(words.positionBad);
    field.current!.focus();
  }

  const arrow = (step: -1 | 1, label: string, sign: string, isLast: boolean) => (
    <button
      type="button"
      className="button small"
      aria-label={label}
      aria-disabled={isLast || isMoving}
      onClick={() => void move(movedPositions(categories, index, step))}
    >
      {sign}
    </button>
  );
  return (
    <form className="position" noValidate onSubmit={save}>
      {arrow(-1, words.up(name), "↑", index === 0)}
      {arrow(1, words.down(name), "↓", index === categories.length - 1)}
      <input
        ref={field}
        inputMode="numeric"
        size={4}
        aria-label={words.positionOf(name)}
        aria-invalid={problem !== null}
        aria-describedby={problem === null ? undefined : `${id}-error`}
        defaultValue={position}
      />
      <button className="button small" aria-label={words.saveOf(name)}>
        {words.save}
      </button>
      {problem !== null && (
        <p className="field-error" id={`${id}-error`} role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}
