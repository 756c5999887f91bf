import { expect, test } from "vitest";
import { dayOf, suspensionEnd } from "./suspension";

const now = new Date(2030, 0, 31, 22, 15);

test("no end is null, as the API has it", () => {
  expect(suspensionEnd("none", "", now)).toBeNull();
});

test.each([
  ["1", 1],
  ["7", 7],
  ["30", 30],
] as const)("%s days end at the same time of day", (length, days) => {
  expect(Date.parse(suspensionEnd(length, "", now) ?? "") - now.getTime()).toBe(days * 86_400_000);
});

test.each([
  ["2030-01-31", new Date(2030, 1, 1)],
  ["2030-12-31", new Date(2031, 0, 1)],
])("a suspension until %s holds on that day", (day, end) => {
  expect(suspensionEnd("date", day, now)).toBe(end.toISOString());
});

test.each(["2030-01-30", "", "tomorrow"])("%j is no day to come", (day) => {
  expect(suspensionEnd("date", day, now)).toBeUndefined();
});

test("a day is that of the admin's clock", () => {
  expect(dayOf(now)).toBe("2030-01-31");
});
