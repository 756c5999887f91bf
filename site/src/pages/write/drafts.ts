/** Drafts in the browser: what is typed stays in it until the service has it. One for each user and post. */

import { keepIfRoom } from "../../storage";
import { DEFAULT_CATEGORY, type Fields, type Status } from "./fields";

/** Of the form below; a draft of another version is not read. */
const VERSION = 1;
const PREFIX = "board.draft.";
const RESUME = "board.draft-to-resume";

/** State of a post on the service when it was last read, in the form's fields. */
export interface Base {
  fields: Fields;
  status: Status;
  /** True if a moderator has hidden it, so that its author cannot publish it. */
  isModerated: boolean;
  /** `ETag` for `If-Match`; null after a write of our own, whose answer has none. */
  etag: string | null;
}

/** Creation that was sent, and may have been done although no answer came. */
export interface Sent {
  body: Fields & { status: Status };
  /** Time of the first attempt, in milliseconds since 1970. */
  at: number;
}

export interface Draft {
  fields: Fields;
  /** Post that the draft belongs to; null before it is created. */
  postId: string | null;
  base: Base | null;
  /** `Idempotency-Key` of the creation. */
  key: string;
  sent: Sent | null;
  /** Ids of the pictures that the next save removes. */
  removed: readonly string[];
}

/** A draft in the browser, with the time at which it was kept. */
export interface KeptDraft extends Draft {
  at: number;
}

export class DraftStore {
  private readonly storage: Storage;
  private readonly prefix: string;

  constructor(storage: Storage, userId: string) {
    this.storage = storage;
    this.prefix = `${PREFIX}${userId}.`;
  }

  /** Draft of a post, or of a new one; null if there is none that can be read. */
  read(postId: string | null): KeptDraft | null {
    const text = this.storage.getItem(this.keyOf(postId));
    return text === null ? null : parseDraft(text);
  }

  /**
   * Keep a draft in place of the last one.
   *
   * @throws DOMException if the storage is full, or the browser has none for this page.
   */
  keep(draft: Draft, now: number): void {
    this.storage.setItem(this.keyOf(draft.postId), JSON.stringify({ version: VERSION, ...draft, at: now }));
  }

  remove(postId: string | null): void {
    this.storage.removeItem(this.keyOf(postId));
  }

  /** Remove the copy that this draft has left; one of a form in another tab stays. */
  removeOwn(postId: string | null, key: string): void {
    if (this.read(postId)?.key === key) this.remove(postId);
  }

  private keyOf(postId: string | null): string {
    return this.prefix + (postId ?? "new");
  }
}

/** Draft of a stored text; null for another version, and for a text that somebody has changed by hand. */
export function parseDraft(text: string): KeptDraft | null {
  const found = readJson(text) as (Partial<KeptDraft> & { version?: number }) | null;
  if (found?.version !== VERSION || !isFields(found.fields) || typeof found.key !== "string") return null;
  return {
    fields: found.fields,
    postId: found.postId ?? null,
    base: found.base ?? null,
    key: found.key,
    sent: found.sent ?? null,
    removed: found.removed ?? [],
    at: found.at ?? 0,
  };
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // cut off, or written by hand
  }
}

function isFields(value: unknown): value is Fields {
  if (typeof value !== "object" || value === null) return false;
  const { title, content, category } = value as Record<string, unknown>;
  return [title, content, category].every((text) => typeof text === "string");
}

/** Draft of a new post. */
export function newDraft(fields: Fields = { title: "", content: "", category: DEFAULT_CATEGORY }): Draft {
  return { fields, postId: null, base: null, key: newKey(), sent: null, removed: [] };
}

/** Random key. `crypto.randomUUID` is for secure origins alone, and development may be on a plain address. */
export function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Have this tab open a draft without asking when it comes back from signing in. */
export function resumeLater(tab: Storage, postId: string | null): void {
  keepIfRoom(tab, RESUME, postId ?? "new");
}

/** True, once, if this tab comes back to this draft from signing in. */
export function isResumed(tab: Storage, postId: string | null): boolean {
  if (tab.getItem(RESUME) !== (postId ?? "new")) return false;
  tab.removeItem(RESUME);
  return true;
}
