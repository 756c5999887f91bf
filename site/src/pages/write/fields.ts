/** Fields of a post as the form has them, their limits, and the form that the service has them in. */

import type { Post } from "../../api/posts";

export interface Fields {
  title: string;
  content: string;
  category: string;
}

export type FieldName = keyof Fields;
export type Status = "visible" | "hidden";

export const FIELD_NAMES: readonly FieldName[] = ["title", "category", "content"];
export const TITLE_MAX_CHARS = 200;
export const CONTENT_MAX_BYTES = 65_535;
export const CATEGORY_MAX_CHARS = 50;
export const DEFAULT_CATEGORY = "일반";
export const NO_FIELDS: Fields = { title: "", content: "", category: DEFAULT_CATEGORY };

/** The service keeps no draft without a title and a text; these stand for an empty field, in any language. */
const NO_TITLE = "(제목 없음)";
const NO_CONTENT = "(내용 없음)";

const encoder = new TextEncoder();

/** Number of characters as the service counts them: code points of NFC, after trimming. */
export function charsOf(text: string): number {
  return [...text.trim().normalize("NFC")].length;
}

/** Number of bytes of UTF-8 that the service stores. */
export function bytesOf(text: string): number {
  return encoder.encode(text.normalize("NFC")).length;
}

export function isBlank(text: string): boolean {
  return text.trim() === "";
}

/** True if nothing was written. The category does not count: it is chosen, not written. */
export function isEmpty(fields: Fields): boolean {
  return isBlank(fields.title) && isBlank(fields.content);
}

/** True if the service would store both texts of a field as the same one. */
export function isSame(field: FieldName, one: string, other: string): boolean {
  const stored = (text: string) => {
    const line = field === "content" ? text : text.trim();
    return (field === "category" ? line.replace(/\s+/g, " ").toLowerCase() : line).normalize("NFC");
  };
  return stored(one) === stored(other);
}

/** Names of the fields that differ. */
export function differing(one: Fields, other: Fields): FieldName[] {
  return FIELD_NAMES.filter((field) => !isSame(field, one[field], other[field]));
}

/** Fields of a post for the form. In a draft, what stands for an empty field is empty. */
export function fieldsOf(post: Pick<Post, "title" | "content" | "category" | "status">): Fields {
  const isDraft = post.status === "hidden";
  return {
    title: isDraft && post.title === NO_TITLE ? "" : post.title,
    content: isDraft && post.content === NO_CONTENT ? "" : post.content,
    category: post.category ?? DEFAULT_CATEGORY,
  };
}

/** Fields for the service. A draft may lack what a post may not; an empty category is the default one. */
export function toSend(fields: Fields, status: Status): Fields {
  const isDraft = status === "hidden";
  return {
    title: isDraft && isBlank(fields.title) ? NO_TITLE : fields.title,
    content: isDraft && isBlank(fields.content) ? NO_CONTENT : fields.content,
    category: isBlank(fields.category) ? DEFAULT_CATEGORY : fields.category,
  };
}
