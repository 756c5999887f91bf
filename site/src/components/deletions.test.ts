import { expect, test } from "vitest";
import { Deletions } from "./deletions";

function held(deletions: Deletions, id: string) {
  const seen = { sent: 0, ended: 0, answer: () => {} };
  const answered = new Promise<void>((resolve) => (seen.answer = resolve));
  const send = () => {
    seen.sent += 1;
    return answered;
  };
  deletions.hold(id, { send, onEnd: () => (seen.ended += 1) });
  return seen;
}

test("an undone deletion is never sent", async () => {
  const deletions = new Deletions();
  const seen = held(deletions, "a");

  deletions.undo("a");
  await deletions.finish("a");

  expect(seen).toMatchObject({ sent: 0, ended: 1 });
  expect(deletions.has("a")).toBe(false);
});

test("a post is leaving until the service has answered, and undone only before it is sent", async () => {
  const deletions = new Deletions();
  const seen = held(deletions, "a");
  expect([deletions.has("a"), deletions.canUndo("a")]).toEqual([true, true]);

  const finished = deletions.finish("a");
  deletions.undo("a");
  expect([deletions.has("a"), deletions.canUndo("a")]).toEqual([true, false]);
  seen.answer();
  await finished;

  expect(deletions.has("a")).toBe(false);
});

test("a deletion is sent once, whatever ends it", async () => {
  const deletions = new Deletions();
  const seen = held(deletions, "a");
  const again = held(deletions, "a");

  const finished = Promise.all([deletions.finish("a"), deletions.finishAll(), deletions.finish("a")]);
  seen.answer();
  await finished;

  expect(seen).toMatchObject({ sent: 1, ended: 1 });
  expect(again.sent).toBe(0);
});

test("before leaving all that wait are sent, and those on their way awaited", async () => {
  const deletions = new Deletions();
  const [one, two] = [held(deletions, "a"), held(deletions, "b")];
  void deletions.finish("a");

  let isDone = false;
  const left = deletions.finishAll().then(() => (isDone = true));
  two.answer();
  await Promise.resolve();
  expect(isDone).toBe(false);
  one.answer();
  await left;

  expect([one.sent, two.sent]).toEqual([1, 1]);
});

test("listeners hear of each change", async () => {
  const deletions = new Deletions();
  const heard: boolean[] = [];
  const stop = deletions.subscribe(() => heard.push(deletions.has("a")));
  const seen = held(deletions, "a");
  seen.answer();
  await deletions.finish("a");
  stop();
  held(deletions, "a");

  expect(heard).toEqual([true, true, false]);
});
