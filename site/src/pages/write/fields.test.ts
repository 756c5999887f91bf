import { expect, test } from "vitest";
import { bytesOf, charsOf, differing, fieldsOf, isEmpty, toSend } from "./fields";

test("characters are code points of NFC after trimming", () => {
  expect(charsOf("  가나 ")).toBe(2);
  expect(charsOf("가".normalize("NFD"))).toBe(1);
  expect(charsOf("👍🏽")).toBe(2);
});

test("bytes are those of UTF-8 in NFC", () => {
  expect(bytesOf("abc")).toBe(3);
  expect(bytesOf("가")).toBe(3);
  expect(bytesOf("가".normalize("NFD"))).toBe(3);
  expect(bytesOf("👍")).toBe(4);
});

test("fields differ only where the service would store them differently", () => {
  const one = { title: " 제목", content: "글", category: "Travel" };

  expect(differing(one, { title: "제목 ", content: "글".normalize("NFD"), category: "TRAVEL" })).toEqual([]);
  expect(differing(one, { title: "제목", content: "글 ", category: "Travel" })).toEqual(["content"]);
});

test("a draft with empty fields comes back with empty fields", () => {
  const sent = toSend({ title: " ", content: "", category: "" }, "hidden");

  expect(sent.title.trim()).not.toBe("");
  expect(fieldsOf({ ...sent, status: "hidden" })).toEqual({ title: "", content: "", category: "일반" });
});

test("a visible post keeps what stands for an empty field in a draft", () => {
  const { title } = toSend({ title: "", content: "글", category: "일반" }, "hidden");

  expect(fieldsOf({ title, content: "글", category: "일반", status: "visible" }).title).toBe(title);
  expect(toSend({ title: "", content: "글", category: "일반" }, "visible").title).toBe("");
});

test("a chosen category alone is nothing written", () => {
  expect(isEmpty({ title: " \n", content: "", category: "여행" })).toBe(true);
});
