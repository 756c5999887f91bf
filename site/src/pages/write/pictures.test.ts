import { expect, test, vi } from "vitest";
import { ApiError } from "../../api/errors";
import type { MediaFile } from "../../api/posts";
import { canRetry, Pictures, type Surroundings } from "./pictures";

const LIMITS = { maxBytes: 100, maxFiles: 3, extensions: ["png"] };
const picture = (name: string, size = 10) => new File([new Uint8Array(size)], name, { type: "image/png" });
const media = (id: string, name = `${id}.png`) => ({ id, file_name: name, file_size: 10, url: `/${id}` }) as MediaFile;
const refusal = (code: string, status: number) => new ApiError(code, { code, status });

/** Uploads that end when the test says so. */
function uploads() {
  const running = new Map<string, { end: (result: MediaFile | Error) => void; report: (part: number) => void }>();
  const stored: MediaFile[] = [];
  const removed: string[] = [];
  const ended: string[] = [];
  const around = {
    place: vi.fn(() => Promise.resolve("p1")),
    upload: (_postId, file, report, signal) =>
      new Promise<MediaFile>((resolve, reject) => {
        const end = (result: MediaFile | Error) => {
          running.delete(file.name);
          if (result instanceof Error) reject(result);
          else resolve(result);
        };
        signal.addEventListener("abort", () => end(refusal("unreachable", 0)));
        running.set(file.name, { end, report });
      }),
    list: () => Promise.resolve(stored),
    remove: (_postId, id) => (removed.push(id), Promise.resolve()),
    preview: (file) => `blob:${file.name}`,
    endPreview: (url) => void ended.push(url),
  } satisfies Surroundings;
  const pictures = new Pictures(around);
  pictures.setLimits(LIMITS);
  const begun = (name: string) => vi.waitFor(() => running.get(name) ?? Promise.reject(new Error(`${name} waits`)));
  const states = () => Object.fromEntries(pictures.current().map(({ name, state }) => [name, state]));
  return { around, pictures, running, stored, removed, ended, begun, states };
}

test("two files are uploaded at a time, the others follow", async () => {
  const { pictures, running, begun, states } = uploads();

  pictures.add([picture("a"), picture("b"), picture("c")]);
  const a = await begun("a");
  await begun("b");
  expect([...running.keys()]).toEqual(["a", "b"]);
  expect(states()).toEqual({ a: "sending", b: "sending", c: "waiting" });
  a.end(media("a"));
  const c = await begun("c");
  running.get("b")?.end(media("b"));
  c.end(media("c"));
  await pictures.settled();

  expect(states()).toEqual({ a: "stored", b: "stored", c: "stored" });
});

test("a refused file does not stop the others, and can be tried again", async () => {
  const { pictures, begun, states } = uploads();
  pictures.add([picture("a"), picture("b")]);

  (await begun("a")).end(refusal("overloaded", 503));
  (await begun("b")).end(media("b"));
  await pictures.settled();
  expect(states()).toEqual({ a: "refused", b: "stored" });
  pictures.retry(pictures.current()[0]!.key);
  (await begun("a")).end(media("a"));
  await pictures.settled();

  expect(states()).toEqual({ a: "stored", b: "stored" });
});

test("what the limits refuse is not sent", () => {
  const { around, pictures } = uploads();

  pictures.add([picture("large", 101)]);
  expect(pictures.current()[0]).toMatchObject({ state: "refused", problem: "too-large" });
  pictures.add([picture("a"), picture("b"), picture("c"), picture("d")]);

  expect(pictures.current().map(({ problem }) => problem)).toEqual(["too-large", null, null, null, "too-many"]);
  expect(around.place).toHaveBeenCalledTimes(2);
});

test("a file beyond the limit has room once another is taken out", async () => {
  const { pictures, begun, removed, states } = uploads();
  pictures.open([media("x"), media("y"), media("z")], [], true);
  pictures.add([picture("d")]);
  const [x, , , d] = pictures.current();
  expect(d!.problem).toBe("too-many");

  pictures.remove(x!.key);
  expect(removed).toEqual([]); // with the next save, unless there is no room without
  pictures.retry(d!.key);
  (await begun("d")).end(media("d"));
  await pictures.settled();

  expect(removed).toEqual(["x"]);
  expect(states()).toEqual({ "y.png": "stored", "z.png": "stored", d: "stored" });
});

test("an upload whose answer was lost is not stored twice", async () => {
  const { pictures, begun, running, stored, states } = uploads();
  pictures.add([picture("a.png")]);
  (await begun("a.png")).end(refusal("unreachable", 0));
  await pictures.settled();
  stored.push(media("a"));

  pictures.retry(pictures.current()[0]!.key);
  await pictures.settled();

  expect(running.size).toBe(0);
  expect(states()).toEqual({ "a.png": "stored" });
  expect(pictures.current()[0]!.media?.id).toBe("a");
});

test("a picture that is taken out while it is sent is stopped", async () => {
  const { pictures, begun, ended, removed } = uploads();
  pictures.add([picture("a")]);
  await begun("a");

  pictures.remove(pictures.current()[0]!.key);
  await pictures.settled();

  expect(pictures.current()).toEqual([]);
  expect(ended).toEqual(["blob:a"]);
  expect(removed).toEqual([]);
});

test("a picture that is taken out once all of it was sent is removed after its answer", async () => {
  const { pictures, begun, removed } = uploads();
  pictures.add([picture("a")]);
  const a = await begun("a");
  a.report(1);

  pictures.remove(pictures.current()[0]!.key);
  a.end(media("a"));

  await vi.waitFor(() => expect(removed).toEqual(["a"]));
  expect(pictures.current()).toEqual([]);
});

test("a stored picture is removed with the save, and can be kept until then", async () => {
  const { pictures, removed } = uploads();
  pictures.open([media("x"), media("y")], ["x"], true);
  const [x, y] = pictures.current();
  expect(pictures.removedIds).toEqual(["x"]);

  pictures.remove(y!.key);
  pictures.keepAfterAll(x!.key);
  await pictures.removeMarked("p1");

  expect(removed).toEqual(["y"]);
  expect(pictures.current().map(({ name }) => name)).toEqual(["x.png"]);
});

test("without a place no file is sent, and each says so", async () => {
  const { around, pictures, running } = uploads();
  around.place.mockRejectedValue(refusal("forbidden", 403));

  pictures.add([picture("a"), picture("b")]);
  await pictures.settled();

  expect(running.size).toBe(0);
  expect(pictures.current().map(({ state, problem }) => [state, (problem as ApiError).code])).toEqual([
    ["refused", "forbidden"],
    ["refused", "forbidden"],
  ]);
});

test("what the service refuses by its content is not tried again", () => {
  expect(canRetry(refusal("validation_error", 400))).toBe(false);
  expect(canRetry("too-large")).toBe(false);
  expect(canRetry("too-many")).toBe(true);
  expect(canRetry(refusal("overloaded", 503))).toBe(true);
  expect(canRetry(refusal("unreachable", 0))).toBe(true);
});
