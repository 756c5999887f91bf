/** Lines of two texts side by side: the same, or in one of them alone. */

export interface Line {
  text: string;
  isSame: boolean;
}

/** Run of lines for people; long runs of the same lines are folded. */
export type Run = { kind: "line"; line: Line } | { kind: "folded"; count: number };

/** Work above which the middle parts of two texts are shown as different in full: pairs of lines. */
const MAX_PAIRS = 4_000_000;
const SAME_AROUND = 2;

/**
 * Compare two texts line by line, by their longest common subsequence.
 *
 * @returns The lines of each text, with a mark for those that the other has too, in the same order.
 */
export function compareLines(left: string, right: string): { left: Line[]; right: Line[] } {
  const [one, other] = [left.split("\n"), right.split("\n")];
  let start = 0;
  while (start < one.length && start < other.length && one[start] === other[start]) start++;
  let end = 0;
  const room = Math.min(one.length, other.length) - start;
  while (end < room && one[one.length - 1 - end] === other[other.length - 1 - end]) end++;
  const [middle, otherMiddle] = [one.slice(start, one.length - end), other.slice(start, other.length - end)];
  const common = commonLines(middle, otherMiddle);
  const marked = (lines: string[], shared: ReadonlySet<number>) =>
    lines.map((text, at) => ({ text, isSame: at < start || at >= lines.length - end || shared.has(at - start) }));
  return { left: marked(one, common.left), right: marked(other, common.right) };
}

function commonLines(one: string[], other: string[]): { left: Set<number>; right: Set<number> } {
  const shared = { left: new Set<number>(), right: new Set<number>() };
  const width = other.length + 1;
  if (one.length * other.length > MAX_PAIRS) return shared;
  // Length of the longest common subsequence of what follows each pair.
  const lengths = new Uint32Array((one.length + 1) * width);
  const length = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = one.length - 1; i >= 0; i--) {
    for (let j = other.length - 1; j >= 0; j--) {
      const longest = one[i] === other[j] ? length(i + 1, j + 1) + 1 : Math.max(length(i + 1, j), length(i, j + 1));
      lengths[i * width + j] = longest;
    }
  }
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    if (one[i] === other[j]) {
      shared.left.add(i++);
      shared.right.add(j++);
    } else if (length(i + 1, j) >= length(i, j + 1)) i++;
    else j++;
  }
  return shared;
}

/** Fold the same lines that have no difference near them. */
export function foldSame(lines: readonly Line[]): Run[] {
  const isNear = (at: number) => lines.slice(Math.max(0, at - SAME_AROUND), at + SAME_AROUND + 1).some((line) => !line.isSame);
  const runs: Run[] = [];
  lines.forEach((line, at) => {
    const last = runs.at(-1);
    if (!line.isSame || isNear(at)) runs.push({ kind: "line", line });
    else if (last?.kind === "folded") last.count++;
    else runs.push({ kind: "folded", count: 1 });
  });
  return runs;
}
