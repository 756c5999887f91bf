/** A lost update: both texts beside one another, and the choices. */

import { useEffect, useRef } from "react";
import { useTexts } from "../../i18n/language";
import type { Base } from "./drafts";
import { differing, type FieldName, type Fields } from "./fields";
import { compareLines, foldSame, type Line } from "./lines";
import { TEXTS } from "./texts";

interface Props {
  theirs: Base;
  mine: Fields;
  keepMine: () => void;
  takeTheirs: () => void;
  goOn: () => void;
}

export function Conflict({ theirs, mine, keepMine, takeTheirs, goOn }: Props) {
  const text = useTexts(TEXTS).conflict;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const different = differing(theirs.fields, mine);
  const lines = compareLines(theirs.fields.content, mine.content);
  return (
    <section className="conflict card" aria-labelledby="conflict-title">
      <h2 id="conflict-title" ref={heading} tabIndex={-1}>
        {text.title}
      </h2>
      <p>{text.text}</p>
      <div className="versions">
        <Version title={text.theirs} fields={theirs.fields} lines={lines.left} different={different} />
        <Version title={text.mine} fields={mine} lines={lines.right} different={different} />
      </div>
      <p className="actions">
        <button type="button" className="button primary" onClick={keepMine}>
          {text.keepMine}
        </button>
        <button type="button" className="button" onClick={takeTheirs}>
          {text.takeTheirs}
        </button>
        <button type="button" className="button" onClick={goOn}>
          {text.goOn}
        </button>
      </p>
    </section>
  );
}

interface VersionProps {
  title: string;
  fields: Fields;
  lines: readonly Line[];
  different: readonly FieldName[];
}

/** One of two texts; what the other has not is marked, by form and by a word. */
export function Version({ title, fields, lines, different }: VersionProps) {
  const text = useTexts(TEXTS);
  return (
    <section className="version" aria-label={title}>
      <h3>{title}</h3>
      <dl>
        {(["title", "category"] as const).map((field) => (
          <div key={field}>
            <dt>{text[field]}</dt>
            <dd dir="auto">
              {different.includes(field) ? (
                <Marked>{fields[field]}</Marked>
              ) : (
                fields[field]
              )}
            </dd>
          </div>
        ))}
        <div>
          <dt>{text.content}</dt>
          <dd dir="auto">
            {foldSame(lines).map((run, at) => (
              <div key={at} className={run.kind === "folded" ? "fine" : "line"}>
                {run.kind === "folded" ? `⋯ ${text.conflict.folded(run.count)}` : <LineText line={run.line} />}
              </div>
            ))}
          </dd>
        </div>
      </dl>
    </section>
  );
}

function LineText({ line }: { line: Line }) {
  return line.isSame ? line.text : <Marked>{line.text}</Marked>;
}

function Marked({ children }: { children: string }) {
  const text = useTexts(TEXTS).conflict;
  return (
    <mark>
      <span className="visually-hidden">{text.differs}: </span>
      {children || "↵"}
    </mark>
  );
}
