import { expect, test } from "vitest";
import { ApiError } from "../../api/errors";
import type { Task } from "../../api/moderation";
import { actOnEach, followTask } from "./tasks";

const task = (done: number, state: Task["state"] = "running"): Task => ({ id: "t", kind: "merge", state, total: 3, done });
const limited = new ApiError("too many", { code: "rate_limited", status: 429 }, 7);
const going = () => new AbortController().signal;

function answering<T>(...answers: (T | Error)[]): () => Promise<T> {
  return async () => {
    const answer = answers.shift();
    if (answer === undefined) throw new Error("asked once more");
    if (answer instanceof Error) throw answer;
    return answer;
  };
}

test("a task is asked for until it is done", async () => {
  const seen: number[] = [];
  const ask = answering(task(1), task(2), task(3, "done"));

  expect(await followTask(ask, ({ done }) => seen.push(done), going(), async () => {})).toEqual(task(3, "done"));
  expect(seen).toEqual([1, 2, 3]);
});

test("a page that is left asks no more", async () => {
  const left = new AbortController();

  expect(await followTask(answering(task(1)), () => left.abort(), left.signal, async () => {})).toEqual(task(1));
});

test("a pause that the service asks for is kept", async () => {
  const pauses: number[] = [];
  const ask = answering<Task>(limited, task(3, "done"));

  await followTask(ask, () => {}, going(), async (seconds) => void pauses.push(seconds));
  expect(pauses).toEqual([7]);
});

test("a refusal of one does not stop the others", async () => {
  const gone = new ApiError("no such post", { code: "post_not_found", status: 404 });
  const tried: number[] = [];
  const act = async (item: string) => {
    if (item === "b") throw gone;
  };

  const results = await actOnEach(["a", "b", "c"], act, (count) => tried.push(count), going(), async () => {});

  expect(results).toEqual({ done: ["a", "c"], refused: [{ item: "b", error: gone }] });
  expect(tried).toEqual([1, 2, 3]);
});

test("a service that stays too busy is a refusal in the end", async () => {
  let pauses = 0;
  const act = () => Promise.reject(limited);

  const results = await actOnEach(["a"], act, () => {}, going(), async () => void (pauses += 1));

  expect([results.refused.length, pauses]).toEqual([1, 2]);
});

test("what was stopped leaves the rest", async () => {
  const stopped = new AbortController();

  const results = await actOnEach(["a", "b"], async () => stopped.abort(), () => {}, stopped.signal, async () => {});

  expect(results.done).toEqual(["a"]);
});
