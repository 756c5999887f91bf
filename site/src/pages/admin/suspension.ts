/** Ends of suspensions. */

export type Length = "none" | "1" | "7" | "30" | "date";

export const LENGTHS: readonly Length[] = ["none", "1", "7", "30", "date"];

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * End of a suspension.
 *
 * @param length Days, no end, or a day that is chosen.
 * @param day That day, `YYYY-MM-DD`: the suspension lasts to its end, where the admin is.
 * @param now Time of the choice.
 * @returns Time for the API; null for no end; undefined if the day is none, or is past.
 */
export function suspensionEnd(length: Length, day: string, now: Date): string | null | undefined {
  if (length === "none") return null;
  if (length !== "date") return new Date(now.getTime() + Number(length) * DAY_MS).toISOString();
  const [year, month, date] = day.split("-").map(Number);
  const end = new Date(year ?? Number.NaN, (month ?? Number.NaN) - 1, (date ?? Number.NaN) + 1);
  return end.getTime() > now.getTime() ? end.toISOString() : undefined;
}

/** Day of a time where the admin is, `YYYY-MM-DD`. */
export function dayOf(time: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}
