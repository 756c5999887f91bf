/**
 * Saving: a draft becomes a post on the service, once, and never over somebody else's change.
 *
 * A creation has an `Idempotency-Key` that lives as long as the draft. Before it is sent, its body is kept in the
 * browser. Where no answer came, the very same body is sent again with the same key, and what was typed meanwhile
 * follows as a change. So neither a repeat nor a change of the text creates a second post.
 */

import { ApiError } from "../../api/errors";
import type { Post, VersionedPost } from "../../api/posts";
import type { Base, Draft, Sent } from "./drafts";
import { differing, fieldsOf, isSame, toSend, type FieldName, type Fields, type Status } from "./fields";

/** The service forgets a key after 24 hours; a repeat must come clearly before. */
const KEY_LIVES_MS = 23 * 60 * 60 * 1000;
const MAX_ATTEMPTS = 3;

export type Changes = Partial<Fields> & { status?: Status };

/** The service, as saving needs it. */
export interface PostService {
  read(postId: string): Promise<VersionedPost>;
  create(key: string, body: Sent["body"]): Promise<Post>;
  change(postId: string, etag: string | null, changes: Changes): Promise<Post>;
}

/** Somebody has changed the same post meanwhile. */
export class LostUpdate extends Error {
  readonly theirs: Base;

  constructor(theirs: Base) {
    super("The post was changed meanwhile");
    this.name = "LostUpdate";
    this.theirs = theirs;
  }
}

/** An earlier creation may have been done or not, and its key cannot tell any more. */
export class UnknownOutcome extends Error {
  constructor() {
    super("An earlier creation may have been done");
    this.name = "UnknownOutcome";
  }
}

export function baseOf(post: Post, etag: string | null): Base {
  const status = post.status === "hidden" ? "hidden" : "visible";
  return { fields: fieldsOf(post), status, isModerated: post.hidden_by === "moderator", etag };
}

/**
 * Save a draft.
 *
 * @param draft Draft as typed.
 * @param status Status to give the post; null leaves it as it is.
 * @param keep Called with the draft before and after each step that a crash must not lose.
 * @returns The draft, with `base` as the service has it now.
 * @throws LostUpdate, UnknownOutcome, ApiError.
 */
export async function save(
  service: PostService,
  draft: Draft,
  status: Status | null,
  keep: (draft: Draft) => void,
  now: number = Date.now(),
): Promise<Draft> {
  const created = draft.postId === null ? await create(service, draft, status ?? "visible", keep, now) : draft;
  return change(service, created, status);
}

async function create(
  service: PostService,
  draft: Draft,
  status: Status,
  keep: (draft: Draft) => void,
  now: number,
): Promise<Draft> {
  if (draft.sent !== null && now - draft.sent.at > KEY_LIVES_MS) throw new UnknownOutcome();
  const sent = draft.sent ?? { body: { ...toSend(draft.fields, status), status }, at: now };
  keep({ ...draft, sent });
  try {
    const post = await service.create(draft.key, sent.body);
    const created: Draft = { ...draft, postId: post.id, base: baseOf(post, null), sent: null };
    keep(created);
    return created;
  } catch (error) {
    keep({ ...draft, sent: isSettled(error, draft.sent !== null) ? null : sent });
    if (error instanceof ApiError && error.code === "idempotency_conflict") throw new UnknownOutcome();
    throw error;
  }
}

/**
 * True if an error proves that no attempt has created the post, so that another body may take the key.
 *
 * @param wasUncertain True if an attempt before this one had no answer. Then only a refusal of the body itself proves
 * it: the service looks for the key before it reads the category, and has refused the same body before.
 */
export function isSettled(error: unknown, wasUncertain: boolean): boolean {
  if (!(error instanceof ApiError) || error.status === 0 || error.status >= 500 || error.status === 408) return false;
  if (error.code === "idempotency_conflict") return false;
  if (!wasUncertain) return true;
  return ["validation_error", "invalid_json", "payload_too_large", "category_limit_reached", "forbidden"].includes(error.code);
}

async function change(service: PostService, draft: Draft, status: Status | null): Promise<Draft> {
  const { postId } = draft;
  if (postId === null) throw new Error("a change needs a post");
  let { fields, base } = draft;
  for (let attempt = 1; ; attempt++) {
    if (!base || (base.etag === null && !isSaved(fields, base, status))) {
      ({ fields, base } = rebase({ ...draft, fields, base }, await service.read(postId)));
    }
    if (isSaved(fields, base, status)) return { ...draft, fields, base };
    try {
      const changed = await service.change(postId, base.etag, changesOf(fields, base, status));
      return { ...draft, fields, base: baseOf(changed, null) };
    } catch (error) {
      const isChanged = error instanceof ApiError && error.code === "precondition_failed";
      if (!isChanged || attempt === MAX_ATTEMPTS) throw error;
      base = { ...base, etag: null };
    }
  }
}

function isSaved(fields: Fields, base: Base, status: Status | null): boolean {
  return Object.keys(changesOf(fields, base, status)).length === 0;
}

/** Changes that a post needs; what did not change is not sent, as a renamed category would come back by it. */
export function changesOf(fields: Fields, base: Base, status: Status | null): Changes {
  const sent = toSend(fields, status ?? base.status);
  const changes: Changes = {};
  for (const field of differing(fields, base.fields)) changes[field] = sent[field];
  if (status !== null && status !== base.status) changes.status = status;
  return changes;
}

/**
 * Draft on top of what the service has now.
 *
 * Pictures, likes and a renamed category change a post's version, and are no conflict.
 *
 * @throws LostUpdate if a field has become another than the one that was read, and than the one that was typed.
 */
export function rebase(draft: Draft, found: VersionedPost): Draft & { base: Base } {
  const theirs = baseOf(found.post, found.etag);
  const { base, fields } = draft;
  const isTheirs = (field: FieldName) => !base || !isSame(field, theirs.fields[field], base.fields[field]);
  const isMine = (field: FieldName) => !base || !isSame(field, fields[field], base.fields[field]);
  const lost = differing(theirs.fields, fields).filter(isTheirs);
  if (lost.some((field) => field !== "category" || isMine(field))) throw new LostUpdate(theirs);
  const category = lost.includes("category") ? theirs.fields.category : fields.category;
  return { ...draft, fields: { ...fields, category }, base: theirs };
}
