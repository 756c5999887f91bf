/** Dates as people say them. */

import type { Language } from "./preference";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK_DAYS = 7;
const DAY_MS = DAY * 1000;
/** Where Intl says "지금", which is the present, no time that has been. */
const JUST_NOW: Record<Language, string> = { ko: "방금", en: "just now" };

interface Formats {
  relative: Intl.RelativeTimeFormat;
  day: Intl.DateTimeFormat;
  dayOfYear: Intl.DateTimeFormat;
  full: Intl.DateTimeFormat;
}

// A format costs more to make than a page of dates to write.
const made = new Map<Language, Formats>();

function formatsOf(language: Language): Formats {
  let formats = made.get(language);
  if (!formats) {
    formats = {
      relative: new Intl.RelativeTimeFormat(language, { numeric: "auto" }),
      day: new Intl.DateTimeFormat(language, { month: "long", day: "numeric" }),
      dayOfYear: new Intl.DateTimeFormat(language, { year: "numeric", month: "long", day: "numeric" }),
      full: new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "short" }),
    };
    made.set(language, formats);
  }
  return formats;
}

/** Days from one date to another by the calendar of this place, whatever hours a day has there. */
function calendarDays(from: Date, to: Date): number {
  const midnight = (date: Date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((midnight(to) - midnight(from)) / DAY_MS);
}

/**
 * "3 minutes ago" within a day, "yesterday" and "5 days ago" within a week, then the day; the year only where it is
 * another.
 */
export function spoken(iso: string, now: Date, language: Language): string {
  const then = new Date(iso);
  const seconds = Math.trunc((then.getTime() - now.getTime()) / 1000);
  const age = Math.abs(seconds);
  const { relative, day, dayOfYear } = formatsOf(language);
  if (age < MINUTE) return JUST_NOW[language];
  if (age < HOUR) return relative.format(Math.trunc(seconds / MINUTE), "minute");
  if (age < DAY) return relative.format(Math.trunc(seconds / HOUR), "hour");
  const days = calendarDays(now, then);
  if (Math.abs(days) < WEEK_DAYS) return relative.format(days, "day");
  return (then.getFullYear() === now.getFullYear() ? day : dayOfYear).format(then);
}

/** Date and time in full, for titles. */
export function inFull(iso: string, language: Language): string {
  return formatsOf(language).full.format(new Date(iso));
}
