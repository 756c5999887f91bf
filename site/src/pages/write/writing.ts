/** A post that is being written or edited: what is typed, kept, uploaded and saved. One for each open form. */

import type { MediaFile } from "../../api/posts";
import { newKey, type Base, type Draft, type DraftStore } from "./drafts";
import { differing, isEmpty, type Fields, type Status } from "./fields";
import { Pictures, type Surroundings } from "./pictures";
import { LostUpdate, save, type PostService } from "./saving";

const KEPT_AFTER_MS = 300;

export interface WritingState {
  draft: Draft;
  /** The browser's copy: none is needed, kept, or refused by the browser. */
  copy: "none" | "kept" | "refused";
  work: "saving" | "publishing" | null;
  problem: Error | null;
  /** The post as somebody else has saved it meanwhile, until the user has chosen. */
  theirs: Base | null;
}

type Around = Omit<Surroundings, "place">;

export class Writing {
  readonly pictures: Pictures;
  private readonly service: PostService;
  private readonly store: DraftStore;
  private state: WritingState;
  private listeners = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private turn: Promise<unknown> = Promise.resolve();
  private placing: Promise<string> | null = null;
  private wanted: Status | null = null;
  private isClosed = false;
  /** Called with the id once the post exists, and with null where it exists no more. */
  onPlace: (postId: string | null) => void = () => {};

  constructor(service: PostService, store: DraftStore, around: Around, draft: Draft, media: readonly MediaFile[] = []) {
    this.service = service;
    this.store = store;
    this.state = { draft, copy: "none", work: null, problem: null, theirs: null };
    this.pictures = new Pictures({ ...around, place: () => this.place() });
    this.pictures.open(media, draft.removed, draft.base?.status === "visible");
    this.pictures.onChange = () => this.forgetVersion();
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  current = (): WritingState => this.state;

  type(typed: Partial<Fields>): void {
    this.draftIs({ fields: { ...this.state.draft.fields, ...typed } });
    this.keepSoon();
  }

  keepSoon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.keepNow(), KEPT_AFTER_MS);
  }

  /** Keep the draft in the browser, or remove the copy where the service has all of it. */
  keepNow = (): void => {
    clearTimeout(this.timer);
    const draft = { ...this.state.draft, removed: this.pictures.removedIds };
    const { postId, base, fields, sent } = draft;
    const isDone = base ? differing(fields, base.fields).length === 0 && draft.removed.length === 0 : isEmpty(fields);
    try {
      if (isDone && sent === null) this.store.removeOwn(postId, draft.key);
      else this.store.keep(draft, Date.now());
      this.set({ copy: isDone && sent === null ? "none" : "kept" });
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      this.set({ copy: "refused" });
    }
  };

  /**
   * Save the post. A second call while one runs does nothing.
   *
   * @param status Status to give it; null leaves it as it is.
   * @returns True if the service has all of it.
   */
  async save(status: Status | null): Promise<boolean> {
    if (this.state.work !== null) return false;
    this.wanted = status;
    this.set({ work: status === "hidden" ? "saving" : "publishing", problem: null, theirs: null });
    try {
      if (status !== "hidden") await this.pictures.settled();
      if (this.pictures.firstRefused && status !== "hidden") return false;
      const postId = await this.inTurn(() => this.saveNow(status));
      await this.pictures.removeMarked(postId);
      return true;
    } catch (error) {
      this.refused(error);
      return false;
    } finally {
      this.set({ work: null });
      this.keepNow();
      if (this.isClosed) this.pictures.close();
    }
  }

  /** Save over what somebody else has saved, which the user has seen. */
  keepMine(): Promise<boolean> {
    this.goOn();
    return this.save(this.wanted);
  }

  /** Go on with the own text, on top of what somebody else has saved. */
  goOn(): void {
    const { theirs } = this.state;
    if (theirs) this.draftIs({ base: theirs });
    this.set({ theirs: null });
    this.keepNow();
  }

  /** Take what somebody else has saved in place of the own text. */
  takeTheirs(): void {
    const { theirs } = this.state;
    if (theirs) this.draftIs({ fields: theirs.fields, base: theirs });
    this.set({ theirs: null });
    this.keepNow();
  }

  /** Make a post of its own from the draft: its own is gone, or nobody knows if it was created. */
  startAnew(): void {
    const { postId, key } = this.state.draft;
    this.store.removeOwn(postId, key);
    this.draftIs({ postId: null, base: null, key: newKey(), sent: null, removed: [] });
    this.set({ problem: null });
    this.keepNow();
    if (postId === null) return;
    this.onPlace(null);
    this.pictures.moveToNewPost();
  }

  /** Forget the draft in the browser; what the service has stays. */
  discard(): void {
    clearTimeout(this.timer);
    this.store.removeOwn(this.state.draft.postId, this.state.draft.key);
  }

  /** The form has gone. A save that runs goes on with its uploads; without one they end, and the draft stays. */
  close(): void {
    this.isClosed = true;
    this.keepNow();
    if (this.state.work === null) this.pictures.close();
  }

  private place(): Promise<string> {
    const { postId } = this.state.draft;
    if (postId !== null) return Promise.resolve(postId);
    this.placing ??= this.inTurn(async () => this.state.draft.postId ?? this.saveNow("hidden")).finally(() => {
      this.placing = null;
    });
    return this.placing;
  }

  private async saveNow(status: Status | null): Promise<string> {
    const before = this.state.draft;
    const saved = await save(this.service, before, status, (step) => this.keepStep(step));
    const { postId, base } = saved;
    if (postId === null) throw new Error("a saved draft has a post");
    this.draftIs({ fields: this.withStored(before.fields, base), base });
    return postId;
  }

  /** Fields as typed; one that the service has stored otherwise, and nobody has touched since, is as it is stored. */
  private withStored(sent: Fields, base: Base | null): Fields {
    const fields = { ...this.state.draft.fields };
    for (const field of base ? differing(fields, base.fields) : []) {
      if (fields[field] === sent[field]) fields[field] = base?.fields[field] ?? fields[field];
    }
    return fields;
  }

  /** Keep a step of saving before the next one; what was typed since is part of it. */
  private keepStep({ postId, base, sent }: Draft): void {
    const isPlaced = postId !== null && this.state.draft.postId === null;
    this.draftIs({ postId, base, sent });
    this.keepNow();
    if (!isPlaced) return;
    this.store.removeOwn(null, this.state.draft.key);
    this.onPlace(postId);
  }

  private refused(error: unknown): void {
    if (error instanceof LostUpdate) this.set({ theirs: error.theirs });
    else if (error instanceof Error) this.set({ problem: error });
    else throw error;
  }

  private forgetVersion(): void {
    const { base } = this.state.draft;
    if (base) this.draftIs({ base: { ...base, etag: null } });
  }

  private inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.turn.then(task, task);
    this.turn = result.catch(() => undefined); // the caller has the error
    return result;
  }

  private draftIs(change: Partial<Draft>): void {
    this.set({ draft: { ...this.state.draft, ...change } });
  }

  private set(change: Partial<WritingState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }
}
