/** Stand-ins of the service and the browser, for tests. */

import { ApiError } from "../../api/errors";
import type { Post, VersionedPost } from "../../api/posts";
import type { Sent } from "./drafts";
import type { Changes, PostService } from "./saving";

export const unreachable = () => new ApiError("", { code: "unreachable", status: 0 });
export const refusal = (code: string, status: number) => new ApiError(code, { code, status });

/** The service as it keeps posts, keys and versions. `break` makes one call fail, before or after its work. */
export class FakeService implements PostService {
  posts = new Map<string, { post: Post; version: number }>();
  keys = new Map<string, { body: string; id: string }>();
  calls: string[] = [];
  breaks: { call: string; error: Error; isDone: boolean }[] = [];

  async read(postId: string): Promise<VersionedPost> {
    return this.run("read", () => {
      const { post, version } = this.at(postId);
      return { post: { ...post }, etag: `"${version}"` };
    });
  }

  async create(key: string, body: Sent["body"]): Promise<Post> {
    return this.run("create", () => {
      const known = this.keys.get(key);
      if (known && known.body !== JSON.stringify(body)) throw refusal("idempotency_conflict", 409);
      if (known) return { ...this.at(known.id).post };
      const id = `p${this.posts.size + 1}`;
      this.keys.set(key, { body: JSON.stringify(body), id });
      this.posts.set(id, { post: { id, hidden_by: null, ...body } as unknown as Post, version: 1 });
      return { ...this.at(id).post };
    });
  }

  async change(postId: string, etag: string | null, changes: Changes): Promise<Post> {
    return this.run("change", () => {
      const kept = this.at(postId);
      if (etag !== null && etag !== `"${kept.version}"`) throw refusal("precondition_failed", 412);
      this.edit(postId, changes);
      return { ...this.at(postId).post };
    });
  }

  edit(postId: string, changes: Partial<Post>): void {
    const { post, version } = this.at(postId);
    this.posts.set(postId, { post: { ...post, ...changes }, version: version + 1 });
  }

  texts(): string[] {
    return [...this.posts.values()].map(({ post }) => `${post.status}: ${post.title} / ${post.content}`);
  }

  private at(postId: string) {
    const found = this.posts.get(postId);
    if (!found) throw refusal("post_not_found", 404);
    return found;
  }

  private async run<T>(call: string, work: () => T): Promise<T> {
    this.calls.push(call);
    const broken = this.breaks.findIndex((one) => one.call === call);
    const [fault] = broken < 0 ? [] : this.breaks.splice(broken, 1);
    if (fault && !fault.isDone) throw fault.error;
    const result = work();
    if (fault) throw fault.error;
    return result;
  }
}

/** Storage of a browser, with the room that a test gives it. */
export class FakeStorage implements Storage {
  private entries = new Map<string, string>();
  constructor(private readonly room = Infinity) {}
  get length() {
    return this.entries.size;
  }
  key = (at: number) => [...this.entries.keys()][at] ?? null;
  getItem = (key: string) => this.entries.get(key) ?? null;
  setItem = (key: string, value: string) => {
    if (value.length > this.room) throw new DOMException("full", "QuotaExceededError");
    this.entries.set(key, value);
  };
  removeItem = (key: string) => void this.entries.delete(key);
  clear = () => this.entries.clear();
}
