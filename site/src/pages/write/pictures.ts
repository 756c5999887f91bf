/** Pictures of a post that is being written: a queue of uploads, and what becomes of each. */

import { ApiError } from "../../api/errors";
import type { MediaFile } from "../../api/posts";

const AT_A_TIME = 2;

/** Limits of uploads, as the service names them. */
export interface Limits {
  maxBytes: number;
  maxFiles: number;
  extensions: readonly string[];
}

/** Refusals that need no upload to be known. */
export type LocalRefusal = "too-large" | "too-many";

export interface Picture {
  /** Of this page alone. */
  readonly key: number;
  readonly name: string;
  readonly size: number;
  /** URL of a preview; null where there is none to show. */
  readonly preview: string | null;
  readonly state: "waiting" | "sending" | "processing" | "stored" | "refused";
  /** Part that was sent, 0 to 1. */
  readonly progress: number;
  readonly problem: Error | LocalRefusal | null;
  /** The service's picture, once it is stored. */
  readonly media: MediaFile | null;
  /** True if the next save removes it. */
  readonly isRemoved: boolean;
  readonly file: File | null;
}

/** What pictures need from the page around them. */
export interface Surroundings {
  /** Id of the post, which is created as a draft where there is none yet. */
  place(): Promise<string>;
  upload(postId: string, file: File, onProgress: (part: number) => void, signal: AbortSignal): Promise<MediaFile>;
  /** Pictures that the post has now. */
  list(postId: string): Promise<readonly MediaFile[]>;
  remove(postId: string, mediaId: string): Promise<void>;
  preview(file: File): string;
  endPreview(url: string): void;
}

export class Pictures {
  private readonly around: Surroundings;
  private pictures: readonly Picture[] = [];
  private limits: Limits | null = null;
  private lastKey = 0;
  private running = new Map<number, AbortController>();
  private listeners = new Set<() => void>();
  private idle: (() => void)[] = [];
  /** Pictures that an upload without an answer may have stored: the next attempt looks first. */
  private uncertain = new Set<number>();
  /** Called when the post on the service has other pictures than before. */
  onChange: () => void = () => {};

  constructor(around: Surroundings) {
    this.around = around;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  current = (): readonly Picture[] => this.pictures;

  setLimits(limits: Limits): void {
    this.limits = limits;
  }

  /** Show the pictures that the post has; those of hidden posts have no URL that browsers may load. */
  open(media: readonly MediaFile[], removed: readonly string[], isShown: boolean): void {
    const stored = media.map((file) => ({
      ...this.blank(file.file_name, file.file_size),
      preview: isShown ? (file.thumbnail_url ?? file.url) : null,
      state: "stored" as const,
      media: file,
      isRemoved: removed.includes(file.id),
    }));
    this.set([...stored, ...this.pictures]);
  }

  /** Add files and upload them, two at a time. */
  add(files: readonly File[]): void {
    for (const file of files) {
      const picture: Picture = { ...this.blank(file.name, file.size), preview: this.previewOf(file), file };
      this.set([...this.pictures, picture]);
      const refusal = this.refusalOf(picture);
      if (refusal) this.change(picture.key, { state: "refused", problem: refusal });
    }
    this.next();
  }

  retry(key: number): void {
    const picture = this.find(key);
    if (picture?.state !== "refused") return;
    const refusal = this.refusalOf(picture);
    this.change(key, refusal ? { problem: refusal } : { state: "waiting", problem: null, progress: 0 });
    this.next();
  }

  /** Take a picture out: a stored one with the next save, any other at once. */
  remove(key: number): void {
    const picture = this.find(key);
    if (!picture) return;
    if (picture.state === "stored") return this.change(key, { isRemoved: true });
    // Once all of it is sent, the service may store it: its answer is awaited, and the picture then removed.
    if (picture.state !== "processing") this.running.get(key)?.abort();
    if (picture.preview && picture.file) this.around.endPreview(picture.preview);
    this.set(this.pictures.filter((other) => other.key !== key));
    this.next();
  }

  keepAfterAll(key: number): void {
    this.change(key, { isRemoved: false });
  }

  get removedIds(): string[] {
    return this.pictures.flatMap(({ media, isRemoved }) => (media && isRemoved ? [media.id] : []));
  }

  get isBusy(): boolean {
    return this.pictures.some(({ state }) => ["waiting", "sending", "processing"].includes(state));
  }

  get firstRefused(): Picture | undefined {
    return this.pictures.find(({ state }) => state === "refused");
  }

  /** Resolves when no upload waits or runs. */
  settled(): Promise<void> {
    return this.isBusy ? new Promise((resolve) => this.idle.push(resolve)) : Promise.resolve();
  }

  /**
   * Remove from the post what was taken out.
   *
   * @throws ApiError of the first removal that failed; the picture stays marked.
   */
  async removeMarked(postId: string, most = Infinity): Promise<void> {
    for (const picture of this.pictures.filter(({ isRemoved }) => isRemoved).slice(0, most)) {
      if (picture.media) await this.removeStored(postId, picture.media.id);
      if (picture.preview && picture.file) this.around.endPreview(picture.preview);
      this.set(this.pictures.filter(({ key }) => key !== picture.key));
      this.onChange();
    }
  }

  /** Upload again to another post what this page has the files of; the others stay with the old one. */
  moveToNewPost(): void {
    const files = this.pictures.filter(({ file }) => file !== null);
    this.set(files.map((picture) => ({ ...picture, state: "waiting", media: null, isRemoved: false, problem: null })));
    this.next();
  }

  /** Stop all uploads, those that wait too, and forget the previews. */
  close(): void {
    for (const upload of this.running.values()) upload.abort();
    for (const { preview, file } of this.pictures) if (preview && file) this.around.endPreview(preview);
    this.set(this.pictures.filter(({ state }) => state === "stored"));
  }

  private async removeStored(postId: string, mediaId: string): Promise<void> {
    try {
      await this.around.remove(postId, mediaId);
    } catch (error) {
      // Removed already, by a request whose answer was lost or from another page.
      if (!(error instanceof ApiError && error.code === "media_not_found")) throw error;
    }
  }

  private previewOf(file: File): string | null {
    return file.type.startsWith("image/") ? this.around.preview(file) : null;
  }

  private blank(name: string, size: number): Picture {
    const rest = { preview: null, state: "waiting", progress: 0, problem: null, media: null } as const;
    return { key: ++this.lastKey, name, size, ...rest, isRemoved: false, file: null };
  }

  private refusalOf(picture: Picture): LocalRefusal | null {
    if (!this.limits) return null; // the service decides
    if (picture.size > this.limits.maxBytes) return "too-large";
    const others = this.pictures.filter(({ key, state, isRemoved }) => key !== picture.key && state !== "refused" && !isRemoved);
    return others.length >= this.limits.maxFiles ? "too-many" : null;
  }

  private next(): void {
    while (this.running.size < AT_A_TIME) {
      const waiting = this.pictures.find(({ key, state }) => state === "waiting" && !this.running.has(key));
      if (!waiting?.file) break;
      const upload = new AbortController();
      this.running.set(waiting.key, upload);
      void this.send(waiting.key, waiting.file, upload.signal).finally(() => {
        this.running.delete(waiting.key);
        this.next();
      });
    }
    if (!this.isBusy) for (const resolve of this.idle.splice(0)) resolve();
  }

  private async send(key: number, file: File, signal: AbortSignal): Promise<void> {
    try {
      const postId = await this.around.place();
      if (signal.aborted) return;
      this.change(key, { state: "sending", progress: 0 });
      const media = (await this.alreadyStored(postId, key, file)) ?? (await this.stored(postId, key, file, signal));
      this.uncertain.delete(key);
      if (this.find(key)) this.change(key, { state: "stored", progress: 1, media });
      else await this.removeStored(postId, media.id); // taken out while the answer was on its way
      this.onChange();
    } catch (error) {
      if (signal.aborted) return;
      const problem = error instanceof Error ? error : new Error(String(error));
      if (mayBeStored(problem)) this.uncertain.add(key);
      this.change(key, { state: "refused", problem });
    }
  }

  private async stored(postId: string, key: number, file: File, signal: AbortSignal): Promise<MediaFile> {
    await this.makeRoom(postId);
    const report = (progress: number) => this.change(key, { progress, state: progress < 1 ? "sending" : "processing" });
    return this.around.upload(postId, file, report, signal);
  }

  /** The picture that an attempt without an answer has stored after all. */
  private async alreadyStored(postId: string, key: number, file: File): Promise<MediaFile | null> {
    if (!this.uncertain.has(key)) return null;
    const known = new Set(this.pictures.map(({ media }) => media?.id));
    const found = await this.around.list(postId);
    const name = file.name.normalize("NFC");
    return found.find(({ id, file_name }) => !known.has(id) && file_name === name) ?? null;
  }

  /** Where the post is full, pictures that were taken out go before another comes. */
  private async makeRoom(postId: string): Promise<void> {
    const stored = this.pictures.filter(({ media }) => media !== null).length + this.running.size - 1;
    if (this.limits && stored >= this.limits.maxFiles) await this.removeMarked(postId, stored - this.limits.maxFiles + 1);
  }

  private find(key: number): Picture | undefined {
    return this.pictures.find((picture) => picture.key === key);
  }

  private change(key: number, change: Partial<Picture>): void {
    this.set(this.pictures.map((picture) => (picture.key === key ? { ...picture, ...change } : picture)));
  }

  private set(pictures: readonly Picture[]): void {
    this.pictures = pictures;
    for (const listener of this.listeners) listener();
  }
}

/** True if no answer tells that a picture was not stored. */
function mayBeStored(problem: Error): boolean {
  return problem instanceof ApiError && (problem.status === 0 || problem.status >= 500);
}

/** True if another attempt with the same file may succeed. */
export function canRetry(problem: Picture["problem"]): boolean {
  if (problem === "too-large") return false;
  return !(problem instanceof ApiError) || !["validation_error", "payload_too_large"].includes(problem.code);
}
