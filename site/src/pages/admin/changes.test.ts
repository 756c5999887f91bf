import { expect, test } from "vitest";
import { changesOf } from "./changes";
import { ADMIN_TEXTS } from "./texts";

const words = {
  text: ADMIN_TEXTS.en,
  moment: (iso: string) => iso.slice(0, 10),
  category: (id: string) => (id === "c1" ? "Travel" : null),
};

test("a hidden post says its status and who has hidden it", () => {
  const entry = { action: "hide", before: { status: "visible", hidden_by: null }, after: { status: "hidden", hidden_by: "moderator" } } as const;

  expect(changesOf(entry, words)).toEqual([
    { label: "Status", before: "Visible", after: "Hidden" },
    { label: "Hidden by", before: null, after: "moderator" },
  ]);
});

test("what stays is not said", () => {
  const entry = { action: "edit", before: { status: "visible", hidden_by: null }, after: { status: "visible", hidden_by: null, fields: ["content", "category"] } } as const;

  expect(changesOf({ ...entry, after: { ...entry.after, fields: ["content", "category"] } }, words)).toEqual([
    { label: "Edited", before: null, after: "text, Categories" },
  ]);
});

test("a decision says what became of the reports, also where the post stays as it is", () => {
  const entry = { action: "resolve", before: { status: "visible" }, after: { status: "visible", resolution: "dismiss", reports: 3 } } as const;

  expect(changesOf(entry, words)).toEqual([
    { label: "Reports", before: null, after: "dismissed" },
    { label: "Reports resolved", before: null, after: "3" },
  ]);
});

test.each([
  ["suspend", null, { suspended_until: null }, "not suspended", "without end"],
  ["suspend", { suspended_until: null }, { suspended_until: "2030-01-02T00:00:00.000Z" }, "without end", "2030-01-02"],
  ["unsuspend", { suspended_until: "2030-01-02T00:00:00.000Z" }, null, "2030-01-02", "not suspended"],
] as const)("%s from %j to %j", (action, before, after, old, now) => {
  expect(changesOf({ action, before, after }, words)).toEqual([{ label: "Suspended until", before: old, after: now }]);
});

test("a pin names its place once", () => {
  const entry = { action: "pin", before: { scope: "all", pinned: false }, after: { scope: "all", pinned: true } } as const;

  expect(changesOf(entry, words)).toEqual([
    { label: "Place of the pin", before: null, after: "all lists" },
    { label: "Pin", before: "not pinned", after: "pinned" },
  ]);
});

test.each([
  ["c1", "Travel"],
  ["c2", "gone"],
])("a merge into %s", (into, shown) => {
  const entry = { action: "merge_category", before: { name: "Trips" }, after: { into } } as const;

  expect(changesOf(entry, words)).toEqual([
    { label: "Name", before: null, after: "Trips" },
    { label: "Merged into", before: null, after: shown },
  ]);
});

test("a value of a later version is shown as it is", () => {
  expect(changesOf({ action: "edit", before: { mood: "dark" }, after: { mood: "light" } }, words)).toEqual([
    { label: "mood", before: "dark", after: "light" },
  ]);
});
