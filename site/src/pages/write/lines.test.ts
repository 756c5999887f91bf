import { expect, test } from "vitest";
import { compareLines, foldSame, type Line } from "./lines";

const marks = (lines: Line[]) => lines.map(({ text, isSame }) => (isSame ? " " : "*") + text);

test("lines of one text alone are marked in it", () => {
  const { left, right } = compareLines("하나\n둘\n셋", "하나\n둘!\n셋\n넷");

  expect(marks(left)).toEqual([" 하나", "*둘", " 셋"]);
  expect(marks(right)).toEqual([" 하나", "*둘!", " 셋", "*넷"]);
});

test("a moved line is the same in one place only", () => {
  const { left, right } = compareLines("a\nb\nc", "b\nc\na");

  expect(marks(left)).toEqual(["*a", " b", " c"]);
  expect(marks(right)).toEqual([" b", " c", "*a"]);
});

test("a text without a line of the other has no same line", () => {
  const { left, right } = compareLines("", "a\nb");

  expect(marks(left)).toEqual(["*"]);
  expect(marks(right)).toEqual(["*a", "*b"]);
});

test("texts too long to compare keep their common beginning and end", () => {
  const long = (word: string) => ["첫 줄", ...Array.from({ length: 2100 }, (_, at) => `${word} ${at}`), "끝 줄"].join("\n");

  const { left } = compareLines(long("하나"), long("둘"));

  expect(left.filter(({ isSame }) => isSame).map(({ text }) => text)).toEqual(["첫 줄", "끝 줄"]);
});

test("same lines far from a difference are folded", () => {
  const same = Array.from({ length: 9 }, (_, at) => `줄 ${at}`).join("\n");

  const runs = foldSame(compareLines(`${same}\n옛 끝`, `${same}\n새 끝`).left);

  expect(runs.map((run) => (run.kind === "folded" ? run.count : run.line.text))).toEqual([7, "줄 7", "줄 8", "옛 끝"]);
});
