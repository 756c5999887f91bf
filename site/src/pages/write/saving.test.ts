import { describe, expect, test } from "vitest";
import { ApiError } from "../../api/errors";
import { newDraft, type Draft } from "./drafts";
import { FakeService, refusal, unreachable } from "./fakes";
import { isSettled, LostUpdate, rebase, save, UnknownOutcome, type Changes } from "./saving";

const HOUR = 3_600_000;
/** Drafts as the browser keeps them: what a reload would find is the last one. */
function keeper(): { kept: Draft | null; keep: (draft: Draft) => void } {
  const held: { kept: Draft | null; keep: (draft: Draft) => void } = { kept: null, keep: (draft) => (held.kept = draft) };
  return held;
}

const draftOf = (title: string, content = "글"): Draft => newDraft({ title, content, category: "일반" });
const retyped = (draft: Draft, title: string): Draft => ({ ...draft, fields: { ...draft.fields, title } });

describe("creating", () => {
  test("a post is created with the text, at once visible", async () => {
    const service = new FakeService();

    const saved = await save(service, draftOf("하나"), "visible", () => {});

    expect(service.texts()).toEqual(["visible: 하나 / 글"]);
    expect(saved).toMatchObject({ postId: "p1", sent: null });
  });

  test("a repeat after a lost answer creates no second post", async () => {
    const service = new FakeService();
    const browser = keeper();
    service.breaks.push({ call: "create", error: unreachable(), isDone: true });

    await expect(save(service, draftOf("하나"), "visible", browser.keep)).rejects.toThrow();
    await save(service, browser.kept!, "visible", browser.keep);

    expect(service.texts()).toEqual(["visible: 하나 / 글"]);
  });

  test("a text that was changed after a lost answer replaces the first one, whether it arrived or not", async () => {
    for (const isDone of [true, false]) {
      const service = new FakeService();
      const browser = keeper();
      service.breaks.push({ call: "create", error: unreachable(), isDone });

      await expect(save(service, draftOf("하나"), "hidden", browser.keep)).rejects.toThrow();
      await save(service, retyped(browser.kept!, "둘"), "visible", browser.keep);

      expect(service.texts()).toEqual(["visible: 둘 / 글"]);
    }
  });

  test("a crash between the request and its answer is a lost answer", async () => {
    const service = new FakeService();
    const browser = keeper();
    const crashed = { draft: null as Draft | null };
    const draft = draftOf("하나");
    service.breaks.push({ call: "create", error: new TypeError("the page is gone"), isDone: true });

    await expect(save(service, draft, "visible", (step) => (crashed.draft ??= step))).rejects.toThrow(TypeError);
    await save(service, crashed.draft!, "visible", browser.keep);

    expect(service.texts()).toEqual(["visible: 하나 / 글"]);
  });

  test("a refused text may be changed under the same key", async () => {
    const service = new FakeService();
    const browser = keeper();
    service.breaks.push({ call: "create", error: refusal("validation_error", 400), isDone: false });

    await expect(save(service, draftOf("하나"), "visible", browser.keep)).rejects.toThrow();
    expect(browser.kept!.sent).toBeNull();
    await save(service, retyped(browser.kept!, "둘"), "visible", browser.keep);

    expect(service.texts()).toEqual(["visible: 둘 / 글"]);
    expect(service.calls).toEqual(["create", "create"]);
  });

  test("a key that another text has used asks, and creates nothing", async () => {
    const service = new FakeService();
    const draft = draftOf("하나");
    await save(service, draft, "visible", () => {});
    const browser = keeper();

    await expect(save(service, retyped(draft, "둘"), "visible", browser.keep)).rejects.toThrow(UnknownOutcome);

    expect(service.posts.size).toBe(1);
  });

  test("a repeat after the key's life asks, and sends nothing", async () => {
    const service = new FakeService();
    const browser = keeper();
    service.breaks.push({ call: "create", error: unreachable(), isDone: true });
    await expect(save(service, draftOf("하나"), "visible", browser.keep, 0)).rejects.toThrow();

    await expect(save(service, browser.kept!, "visible", browser.keep, 23.5 * HOUR)).rejects.toThrow(UnknownOutcome);

    expect(service.calls).toEqual(["create"]);
  });

  test.each([
    ["unreachable", 0, false, false],
    ["internal_error", 500, false, false],
    ["gateway_timeout", 504, false, false],
    ["idempotency_conflict", 409, false, false],
    ["token_expired", 401, false, true],
    ["rate_limited", 429, false, true],
    ["token_expired", 401, true, false],
    ["rate_limited", 429, true, false],
    ["account_suspended", 403, true, false],
    ["validation_error", 400, true, true],
    ["category_limit_reached", 409, true, true],
  ])("%s (%i), after an attempt without an answer: %s; proves that nothing was created: %s", (code, status, before, is) => {
    expect(isSettled(refusal(code, status), before)).toBe(is);
  });
});

describe("changing", () => {
  async function published(): Promise<{ service: FakeService; draft: Draft }> {
    const service = new FakeService();
    const created = await save(service, draftOf("하나"), "visible", () => {});
    const draft = rebase(created, await service.read("p1"));
    service.calls = [];
    return { service, draft };
  }

  test("only what has changed is sent", async () => {
    const { service, draft } = await published();
    const sent: Changes[] = [];
    const change = service.change.bind(service);
    service.change = (id, etag, changes) => (sent.push(changes), change(id, etag, changes));

    await save(service, retyped(draft, "둘"), null, () => {});

    expect(sent).toEqual([{ title: "둘" }]);
  });

  test("nothing is sent where nothing has changed", async () => {
    const { service, draft } = await published();

    await save(service, draft, null, () => {});

    expect(service.calls).toEqual([]);
  });

  test("somebody else's change is a lost update, with their text", async () => {
    const { service, draft } = await published();
    service.edit("p1", { content: "남의 글" });

    const lost = await save(service, retyped(draft, "둘"), null, () => {}).catch((error: unknown) => error);

    expect(lost).toBeInstanceOf(LostUpdate);
    expect((lost as LostUpdate).theirs.fields.content).toBe("남의 글");
    expect(service.texts()).toEqual(["visible: 하나 / 남의 글"]);
  });

  test("a change between the reading and the writing is found too", async () => {
    const { service, draft } = await published();
    const read = service.read.bind(service);
    service.read = async (id) => {
      const found = await read(id);
      if (service.calls.length === 1) service.edit("p1", { content: "남의 글" });
      return found;
    };
    const afterOwnWrite = { ...draft, base: { ...draft.base!, etag: null } };

    await expect(save(service, retyped(afterOwnWrite, "둘"), null, () => {})).rejects.toThrow(LostUpdate);
  });

  test("pictures and a renamed category change the version, and are no conflict", async () => {
    const { service, draft } = await published();
    service.edit("p1", { media_count: 1 });
    service.edit("p1", { category: "새 이름" });

    const saved = await save(service, retyped(draft, "둘"), null, () => {});

    expect(service.texts()).toEqual(["visible: 둘 / 글"]);
    expect(saved.fields.category).toBe("새 이름");
    expect(service.posts.get("p1")!.post.category).toBe("새 이름");
  });

  test("a repeat of a change whose answer was lost is no conflict with itself", async () => {
    const { service, draft } = await published();
    service.breaks.push({ call: "change", error: unreachable(), isDone: true });
    const mine = retyped(draft, "둘");

    await expect(save(service, mine, null, () => {})).rejects.toThrow(ApiError);
    await save(service, mine, null, () => {});

    expect(service.texts()).toEqual(["visible: 둘 / 글"]);
  });

  test("the own text is saved over theirs once it has been seen", async () => {
    const { service, draft } = await published();
    service.edit("p1", { title: "남의 제목", content: "남의 글" });
    const mine = retyped(draft, "둘");
    const lost = (await save(service, mine, null, () => {}).catch((error: unknown) => error)) as LostUpdate;

    await save(service, { ...mine, base: lost.theirs }, null, () => {});

    expect(service.texts()).toEqual(["visible: 둘 / 글"]);
  });

  test("a draft is published with its last text by one request", async () => {
    const service = new FakeService();
    const draft = await save(service, draftOf("", "첫 글"), "hidden", () => {});
    service.calls = [];

    await save(service, { ...draft, fields: { title: "제목", content: "끝 글", category: "일반" } }, "visible", () => {});

    expect(service.texts()).toEqual(["visible: 제목 / 끝 글"]);
    expect(service.calls).toEqual(["read", "change"]);
  });
});
