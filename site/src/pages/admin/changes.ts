/** Rows of the moderation log in words: the state before and after an action. */

import type { LogEntry } from "../../api/moderation";
import type { AdminTexts } from "./texts";

export interface Change {
  label: string;
  before: string | null;
  after: string | null;
}

interface Words {
  text: AdminTexts;
  /** A time as people read it. */
  moment: (iso: string) => string;
  /** Name of a category by its id; null if it is gone. */
  category: (id: string) => string | null;
}

/** Facts of an action that are no change of a state: they have one value. */
const FACTS: readonly string[] = ["resolution", "reports", "fields", "into", "scope"];

/**
 * Changes of an entry, in words: one for each value that differs.
 *
 * A value which the service adds in a later version is shown as it is.
 */
export function changesOf(entry: Pick<LogEntry, "action" | "before" | "after">, words: Words): Change[] {
  const before = entry.before ?? {};
  const after = entry.after ?? {};
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.flatMap((name) => {
    const [old, now] = [spoken(name, before[name], words), spoken(name, after[name], words)];
    if (old === now && !FACTS.includes(name)) return [];
    if (old === null && now === null) return [];
    const isFact = FACTS.includes(name) || isAbsent(entry, name);
    return [{ label: labelOf(name, words.text), before: isFact ? null : old, after: isFact ? (now ?? old) : now }];
  });
}

/** True where only one of the states has the value, as of a category that is deleted. */
function isAbsent({ action, before, after }: Pick<LogEntry, "action" | "before" | "after">, name: string): boolean {
  if (action === "suspend" || action === "unsuspend") return false;
  return !(name in (before ?? {})) || !(name in (after ?? {}));
}

function labelOf(name: string, text: AdminTexts): string {
  return name in text.changes ? text.changes[name as keyof AdminTexts["changes"]] : name;
}

function spoken(name: string, value: unknown, words: Words): string | null {
  const { text } = words;
  if (name === "suspended_until") return suspended(value, words);
  if (value === undefined || value === null) return null;
  if (name === "pinned") return value === true ? text.values.pinned : text.values.notPinned;
  if (name === "is_open") return value === true ? text.values.takes : text.values.closed;
  if (name === "into") return words.category(String(value)) ?? text.values.gone;
  if (name === "name") return String(value);
  if (Array.isArray(value)) return value.map((each) => wordFor(name, each, text)).join(", ");
  return wordFor(name, value, text);
}

function suspended(value: unknown, { text, moment }: Words): string {
  if (value === undefined) return text.values.notSuspended;
  return value === null ? text.values.endless : moment(String(value));
}

function wordFor(name: string, value: unknown, text: AdminTexts): string {
  const tables: Record<string, Record<string, string>> = {
    status: text.status,
    resolution: text.report.resolution,
    hidden_by: text.values,
    deleted_by: text.values,
    scope: text.values,
    fields: { ...text.values, category: text.categories },
  };
  return tables[name]?.[String(value)] ?? String(value);
}
