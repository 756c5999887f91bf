/** Dates as people say them. */

import type { Language } from "./language";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;

/** "3 minutes ago" within a week, then the day; the year only where it is another. */
export function spoken(iso: string, now: Date, language: Language): string {
  const then = new Date(iso);
  const seconds = Math.round((then.getTime() - now.getTime()) / 1000);
  const age = Math.abs(seconds);
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  if (age < MINUTE) return relative.format(0, "second");
  if (age < HOUR) return relative.format(Math.trunc(seconds / MINUTE), "minute");
  if (age < DAY) return relative.format(Math.trunc(seconds / HOUR), "hour");
  if (age < WEEK) return relative.format(Math.trunc(seconds / DAY), "day");
  const year = then.getFullYear() === now.getFullYear() ? {} : ({ year: "numeric" } as const);
  return new Intl.DateTimeFormat(language, { month: "long", day: "numeric", ...year }).format(then);
}

/** Date and time in full, for titles. */
export function inFull(iso: string, language: Language): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "short" }).format(new Date(iso));
}
