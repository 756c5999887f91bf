/** Work on many posts: a task of the service, and actions one by one. */

import { ApiError } from "../../api/errors";
import type { Task } from "../../api/moderation";

/**
 * Ask for a task again until it is done; each request works at it, so there is no pause between.
 *
 * @param ask Request that begins the task, or goes on with it.
 * @param onProgress Called with every answer.
 * @param signal Ends the asking; the service goes on by itself.
 * @param waiting Called before a pause that the service asks for, with its seconds; resolves after it.
 */
export async function followTask(
  ask: () => Promise<Task>,
  onProgress: (task: Task) => void,
  signal: AbortSignal,
  waiting: (seconds: number) => Promise<void>,
): Promise<Task> {
  for (;;) {
    const task = await patiently(ask, waiting);
    onProgress(task);
    if (task.state === "done" || signal.aborted) return task;
  }
}

/** Result of actions one by one. */
export interface Results<T> {
  done: T[];
  refused: { item: T; error: Error }[];
}

/**
 * Act on items one after another. A refusal of one does not stop the others.
 *
 * @param items What to act on.
 * @param act Action on one.
 * @param onProgress Called after each, with the number of those that were tried.
 * @param signal Ends it before the next one.
 * @param waiting As for `followTask`.
 */
export async function actOnEach<T>(
  items: readonly T[],
  act: (item: T) => Promise<void>,
  onProgress: (tried: number) => void,
  signal: AbortSignal,
  waiting: (seconds: number) => Promise<void>,
): Promise<Results<T>> {
  const results: Results<T> = { done: [], refused: [] };
  for (const [index, item] of items.entries()) {
    if (signal.aborted) break;
    try {
      await patiently(() => act(item), waiting);
      results.done.push(item);
    } catch (error) {
      results.refused.push({ item, error: error as Error });
    }
    onProgress(index + 1);
  }
  return results;
}

const TRIES = 3;

/** Repeat what the service refuses for the rate of requests alone, after the pause that it asks for. */
async function patiently<T>(act: () => Promise<T>, waiting: (seconds: number) => Promise<void>): Promise<T> {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await act();
    } catch (error) {
      const seconds = error instanceof ApiError && error.status === 429 ? error.retryAfter : null;
      if (seconds === null || left === 1) throw error;
      await waiting(seconds);
    }
  }
}
