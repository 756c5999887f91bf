import { expect, test } from "vitest";
import { inFull, spoken } from "./dates";

// Wednesday noon of this place, wherever the tests run.
const NOW = new Date(2026, 5, 17, 12, 0, 0);
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const ago = (milliseconds: number) => new Date(NOW.getTime() - milliseconds).toISOString();
const at = (year: number, month: number, day: number, hour = 0, minute = 0) => new Date(year, month, day, hour, minute).toISOString();

test.each([
  [0, "방금", "just now"],
  [59.9 * SECOND, "방금", "just now"],
  [60 * SECOND, "1분 전", "1 minute ago"],
  [119.9 * SECOND, "1분 전", "1 minute ago"],
  [59.99 * MINUTE, "59분 전", "59 minutes ago"],
  [60 * MINUTE, "1시간 전", "1 hour ago"],
  [23.99 * HOUR, "23시간 전", "23 hours ago"],
])("an age of %d ms is %s", (age, korean, english) => {
  expect(spoken(ago(age), NOW, "ko")).toBe(korean);
  expect(spoken(ago(age), NOW, "en")).toBe(english);
});

test.each([
  [at(2026, 5, 16, 12), "어제", "yesterday"],
  [at(2026, 5, 16, 0), "어제", "yesterday"],
  [at(2026, 5, 15, 23, 59), "그저께", "2 days ago"],
  [at(2026, 5, 14, 12), "3일 전", "3 days ago"],
  [at(2026, 5, 11, 0), "6일 전", "6 days ago"],
  [at(2026, 5, 10, 23, 59), "6월 10일", "June 10"],
  [at(2026, 0, 1), "1월 1일", "January 1"],
  [at(2025, 11, 31, 23, 59), "2025년 12월 31일", "December 31, 2025"],
])("%s is said as %s", (iso, korean, english) => {
  expect(spoken(iso, NOW, "ko")).toBe(korean);
  expect(spoken(iso, NOW, "en")).toBe(english);
});

test("a day ago is not yesterday where the calendar has a day between", () => {
  const night = new Date(2026, 5, 17, 1, 0);

  expect(spoken(at(2026, 5, 15, 23, 0), night, "en")).toBe("2 days ago");
});

test("the end of the last year is some days ago in the first days of the next", () => {
  expect(spoken(at(2025, 11, 30, 9), new Date(2026, 0, 2, 12), "ko")).toBe("3일 전");
});

test("a clock that is behind the service's shows just now", () => {
  expect(spoken(ago(-30 * SECOND), NOW, "ko")).toBe("방금");
});

test("a time ahead is said as one", () => {
  expect(spoken(ago(-2 * HOUR), NOW, "ko")).toBe("2시간 후");
  expect(spoken(at(2026, 5, 18, 18), NOW, "en")).toBe("tomorrow");
});

test("a date in full has its weekday and time", () => {
  // Versions of the language's data differ in 오후 and PM.
  expect(inFull(at(2026, 5, 17, 15, 4), "ko")).toMatch(/^2026년 6월 17일 수요일 (오후|PM) 3:04$/);
});
