import { expect, test } from "vitest";
import { DraftStore, isResumed, newDraft, newKey, parseDraft, resumeLater } from "./drafts";
import { FakeStorage } from "./fakes";

const fields = { title: "제목", content: "줄\n줄", category: "여행" };

test("a draft comes back as it was kept, with its key and its time", () => {
  const store = new DraftStore(new FakeStorage(), "ana");
  const draft = newDraft(fields);

  store.keep(draft, 123);

  expect(store.read(null)).toEqual({ ...draft, at: 123 });
});

test("each user and each post has a draft of its own", () => {
  const storage = new FakeStorage();
  const [ana, bo] = [new DraftStore(storage, "ana"), new DraftStore(storage, "bo")];

  ana.keep(newDraft(fields), 1);
  ana.keep({ ...newDraft({ ...fields, title: "수정" }), postId: "p1" }, 1);

  expect(ana.read("p1")?.fields.title).toBe("수정");
  expect(ana.read("p2")).toBeNull();
  expect(bo.read(null)).toBeNull();
  ana.remove("p1");
  expect([ana.read("p1"), ana.read(null)?.fields.title]).toEqual([null, "제목"]);
});

test.each(["", "{", "null", "[]", '{"version": 2, "fields": {}}', '{"version": 1, "fields": {"title": 1}, "key": "k"}'])(
  "what is no draft of this version is none: %s",
  (text) => {
    expect(parseDraft(text)).toBeNull();
  },
);

test("a full storage is an error, and the last draft stays", () => {
  const store = new DraftStore(new FakeStorage(1000), "ana");
  store.keep(newDraft(fields), 1);

  expect(() => store.keep(newDraft({ ...fields, content: "가".repeat(2000) }), 2)).toThrow(DOMException);
  expect(store.read(null)?.at).toBe(1);
});

test("keys are printable and never the same", () => {
  const keys = Array.from({ length: 100 }, newKey);

  expect(new Set(keys).size).toBe(100);
  for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/);
});

test("a tab goes on with a draft once, and with that one alone", () => {
  const tab = new FakeStorage();

  resumeLater(tab, "p1");

  expect(isResumed(tab, null)).toBe(false);
  expect(isResumed(tab, "p1")).toBe(true);
  expect(isResumed(tab, "p1")).toBe(false);
});
