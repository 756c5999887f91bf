import { useEffect, useRef, type FormEvent } from "react";
import { useNavigate } from "react-router";
import type { ListChoice } from "../../api/posts";
import { Icon } from "../../components/icons";
import { useText } from "../../i18n/language";
import { listLink } from "./choice";

/** Search of titles. The words are in the URL, and the service alone knows their bounds: `problem` is its refusal. */
export function SearchForm({ choice, problem }: { choice: ListChoice; problem: string | undefined }) {
  const text = useText().list;
  const navigate = useNavigate();
  const field = useRef<HTMLInputElement>(null);

  useEffect(() => {
    if (field.current) field.current.value = choice.q ?? "";
  }, [choice.q]);
  useEffect(() => {
    if (problem !== undefined) field.current?.focus();
  }, [problem]);

  function search(event: FormEvent) {
    event.preventDefault();
    void navigate(listLink(choice, { q: field.current?.value.trim() || null }));
  }
  function clear() {
    if (field.current) field.current.value = "";
    field.current?.focus();
    if (choice.q !== null) void navigate(listLink(choice, { q: null }));
  }

  return (
    <form className="search" role="search" action="/" onSubmit={search}>
      <div className="search-field">
        <input
          ref={field}
          type="text"
          name="q"
          inputMode="search"
          enterKeyHint="search"
          autoComplete="off"
          defaultValue={choice.q ?? ""}
          placeholder={text.search}
          aria-label={text.search}
          aria-invalid={problem !== undefined}
          aria-describedby={problem === undefined ? undefined : "search-problem"}
        />
        {choice.q !== null && (
          <button type="button" className="icon-button" aria-label={text.clearSearch} title={text.clearSearch} onClick={clear}>
            ×
          </button>
        )}
      </div>
      <button className="button">
        <Icon name="search" />
        {text.searchButton}
      </button>
      {problem !== undefined && (
        <p className="field-error" id="search-problem" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}
