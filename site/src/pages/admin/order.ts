/** Order of categories: by position, then as the service sorts names. */

interface Placed {
  id: string;
  position: number;
}

/**
 * Positions that swap a category with its neighbour, as few as possible.
 *
 * Equal positions are in the order of names, so a swap makes different ones of them: rising from the pair to the end,
 * or falling from it to the beginning.
 *
 * @param list Categories in their order.
 * @param index Place of the category that moves.
 * @param step -1 for up, 1 for down.
 * @returns Those whose position changes; none at an end of the list.
 */
export function movedPositions(list: readonly Placed[], index: number, step: -1 | 1): Placed[] {
  const upper = step === -1 ? index - 1 : index;
  const [first, second] = [list[upper], list[upper + 1]];
  if (!first || !second) return [];
  const order = [...list.slice(0, upper), second, first, ...list.slice(upper + 2)];
  const upwards = spread(order, upper, 1);
  const downwards = spread(order, upper, -1);
  return downwards.length < upwards.length ? downwards : upwards;
}

/** Changes after which the pair, and in one direction each that follows a changed one, have positions that differ. */
function spread(order: readonly Placed[], upper: number, direction: 1 | -1): Placed[] {
  const positions = order.map(({ position }) => position);
  for (let at = direction === 1 ? upper + 1 : upper; at >= 0 && at < order.length; at += direction) {
    const before = positions[at - direction]!;
    if ((positions[at]! - before) * direction > 0) break;
    positions[at] = before + direction;
  }
  return order.flatMap(({ id, position }, at) => (positions[at] === position ? [] : [{ id, position: positions[at]! }]));
}
