import { expect, test } from "vitest";
import { movedPositions } from "./order";

const list = (...positions: number[]) => positions.map((position, index) => ({ id: "abcdefgh"[index]!, position }));

/** Order in which the service lists them afterwards: by position, then by name, which is the id here. */
function after(before: { id: string; position: number }[], index: number, step: -1 | 1): string {
  const moved = new Map(movedPositions(before, index, step).map(({ id, position }) => [id, position]));
  return before
    .map(({ id, position }) => ({ id, position: moved.get(id) ?? position }))
    .sort((one, other) => one.position - other.position || one.id.localeCompare(other.id))
    .map(({ id }) => id)
    .join("");
}

test.each([
  [list(1, 2, 3), 0, 1, "bac"],
  [list(1, 2, 3), 2, -1, "acb"],
  [list(0, 0, 0, 0), 1, -1, "bacd"],
  [list(0, 0, 0, 0), 1, 1, "acbd"],
  [list(0, 0, 0, 0), 2, 1, "abdc"],
  [list(0, 0, 1, 1), 1, 1, "acbd"],
  [list(-5, 0, 0, 7), 1, 1, "acbd"],
] as const)("%j: place %i by %i", (before, index, step, order) => {
  expect(after([...before], index, step)).toBe(order);
});

test("every swap of every small list gives the order that was asked for", () => {
  const values = [0, 1, 2];
  for (const a of values)
    for (const b of values.filter((value) => value >= a))
      for (const c of values.filter((value) => value >= b))
        for (const d of values.filter((value) => value >= c))
          for (const index of [0, 1, 2]) {
            const expected = [..."abcd"];
            [expected[index], expected[index + 1]] = [expected[index + 1]!, expected[index]!];
            expect(after(list(a, b, c, d), index, 1)).toBe(expected.join(""));
          }
});

test("few positions change", () => {
  expect(movedPositions(list(0, 0, 0, 0), 1, -1)).toEqual([{ id: "b", position: -1 }]);
  expect(movedPositions(list(0, 0, 0, 0), 2, 1)).toEqual([{ id: "c", position: 1 }]);
  expect(movedPositions(list(1, 2), 0, 1)).toHaveLength(1);
});

test("the first does not go up, nor the last down", () => {
  expect(movedPositions(list(1, 2), 0, -1)).toEqual([]);
  expect(movedPositions(list(1, 2), 1, 1)).toEqual([]);
});
