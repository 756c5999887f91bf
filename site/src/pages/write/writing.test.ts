import { expect, test, vi } from "vitest";
import type { MediaFile } from "../../api/posts";
import { DraftStore, newDraft, type Draft } from "./drafts";
import { FakeService, FakeStorage, unreachable } from "./fakes";
import { rebase } from "./saving";
import { Writing } from "./writing";

const FIELDS = { title: "제목", content: "글", category: "일반" };

function desk(draft: Draft = newDraft(), room = Infinity, service = new FakeService()) {
  const store = new DraftStore(new FakeStorage(room), "ana");
  const removed: string[] = [];
  const around = {
    upload: (_id: string, file: File) => Promise.resolve({ id: file.name, file_name: file.name } as MediaFile),
    list: () => Promise.resolve([]),
    remove: (_id: string, mediaId: string) => Promise.resolve(void removed.push(mediaId)),
    preview: (file: File) => file.name,
    endPreview: () => {},
  };
  const writing = new Writing(service, store, around, draft);
  const places: (string | null)[] = [];
  writing.onPlace = (postId) => places.push(postId);
  return { service, store, writing, places, removed };
}

const picture = (name: string) => new File(["x"], name, { type: "image/png" });

test("what is typed is kept a moment later, and at once when the page goes", async () => {
  const { store, writing } = desk();

  writing.type({ title: "하나" });
  await vi.waitFor(() => expect(store.read(null)?.fields.title).toBe("하나"));
  writing.type({ title: "둘" });
  writing.keepNow();

  expect(store.read(null)?.fields.title).toBe("둘");
  expect(writing.current().copy).toBe("kept");
});

test("a text that was deleted again leaves no draft", () => {
  const { store, writing } = desk();
  writing.type({ title: "하나" });
  writing.keepNow();

  writing.type({ title: "" });
  writing.keepNow();

  expect(store.read(null)).toBeNull();
});

test("a form that has nothing to keep leaves the draft of another tab", () => {
  const { store, writing } = desk();
  store.keep(newDraft(FIELDS), 1);

  writing.keepNow();
  writing.discard();

  expect(store.read(null)?.fields).toEqual(FIELDS);
});

test("a browser that keeps nothing is said, and saving goes on", async () => {
  const { service, writing } = desk(newDraft(), 10);
  writing.type(FIELDS);
  writing.keepNow();
  expect(writing.current().copy).toBe("refused");

  expect(await writing.save("visible")).toBe(true);

  expect(service.texts()).toEqual(["visible: 제목 / 글"]);
});

test("a second save while one runs does nothing", async () => {
  const { service, writing } = desk(newDraft(FIELDS));

  const saves = await Promise.all([writing.save("visible"), writing.save("visible")]);

  expect(saves).toEqual([true, false]);
  expect(service.texts()).toEqual(["visible: 제목 / 글"]);
});

test("the first pictures share one draft on the service, which gets the browser's copy", async () => {
  const { service, store, writing, places } = desk();
  writing.type({ content: "글" });
  writing.keepNow();

  writing.pictures.add([picture("a"), picture("b"), picture("c")]);
  await writing.pictures.settled();

  expect(service.calls).toEqual(["create"]);
  expect(places).toEqual(["p1"]);
  expect(store.read(null)).toBeNull();
  writing.type({ title: "제목" });
  writing.keepNow();
  expect(store.read("p1")).toMatchObject({ postId: "p1", fields: { title: "제목", content: "글" } });
});

test("what was typed while a draft was created is published with it", async () => {
  const { service, writing } = desk(newDraft({ ...FIELDS, title: "" }));
  writing.pictures.add([picture("a")]);
  writing.type({ title: "나중 제목" });

  expect(await writing.save("visible")).toBe(true);

  expect(service.texts()).toEqual(["visible: 나중 제목 / 글"]);
});

test("a post is not saved as long as a picture is refused", async () => {
  const { service, writing } = desk(newDraft(FIELDS));
  service.breaks.push({ call: "create", error: unreachable(), isDone: false });
  writing.pictures.add([picture("a")]);
  await writing.pictures.settled();

  expect(await writing.save("visible")).toBe(false);
  expect(service.texts()).toEqual([]);
  writing.pictures.retry(writing.pictures.current()[0]!.key);
  expect(await writing.save("visible")).toBe(true);

  expect(service.texts()).toEqual(["visible: 제목 / 글"]);
});

test("pictures that were taken out are removed with the save", async () => {
  const { writing, removed } = desk(newDraft(FIELDS));
  writing.pictures.add([picture("a"), picture("b")]);
  await writing.pictures.settled();
  writing.pictures.remove(writing.pictures.current()[0]!.key);

  expect(await writing.save("visible")).toBe(true);

  expect(removed).toEqual(["a"]);
});

test("a post that is gone begins anew, with its pictures", async () => {
  const { service, writing, places } = desk(newDraft(FIELDS));
  writing.pictures.add([picture("a")]);
  await writing.pictures.settled();
  service.posts.delete("p1");
  writing.type({ title: "다른 제목" });
  expect(await writing.save("visible")).toBe(false);
  expect(writing.current().problem).toMatchObject({ code: "post_not_found" });

  service.posts.set("p0", { post: {} as never, version: 1 }); // so that the next id is another
  writing.startAnew();
  expect(await writing.save("visible")).toBe(true);

  expect(places).toEqual(["p1", null, "p2"]);
  expect(service.posts.get("p2")?.post).toMatchObject({ title: "다른 제목", status: "visible" });
});

test("theirs can be taken, and the next save is on top of it", async () => {
  const service = new FakeService();
  await service.create("k", { ...FIELDS, status: "visible" });
  const start = rebase({ ...newDraft(FIELDS), postId: "p1" }, await service.read("p1"));
  const { writing, store } = desk(start, Infinity, service);
  writing.type({ content: "내 글" });
  service.edit("p1", { content: "남의 글" });

  expect(await writing.save(null)).toBe(false);
  expect(writing.current().theirs?.fields.content).toBe("남의 글");
  expect(store.read("p1")?.fields.content).toBe("내 글");
  writing.takeTheirs();
  writing.type({ title: "새 제목" });
  expect(await writing.save(null)).toBe(true);

  expect(service.texts()).toEqual(["visible: 새 제목 / 남의 글"]);
});

test("a form that goes while it publishes takes no picture with it; one that only uploads stops", async () => {
  const { service, writing } = desk(newDraft(FIELDS));
  writing.pictures.add(["a", "b", "c"].map(picture));
  const publishing = writing.save("visible");
  writing.close();

  expect(await publishing).toBe(true);
  expect(writing.pictures.current().map(({ media }) => media?.id)).toEqual(["a", "b", "c"]);
  expect(service.texts()).toEqual(["visible: 제목 / 글"]);

  writing.pictures.add(["d", "e", "f"].map(picture));
  writing.close();
  await writing.pictures.settled();
  expect(writing.pictures.current().map(({ name }) => name)).toEqual(["a", "b", "c"]);
});
