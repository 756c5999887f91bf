/** Addresses in a text, to be shown as links. */

/** A run of the characters that a URL may have (RFC 3986, appendix A); Korean beside it is no part of it. */
const ADDRESS = /https?:\/\/[\w\-.~:/?#[\]@!$&'()*+,;=%]+/gi;
/** What ends a sentence rather than an address. */
const SENTENCE_END = ".,:;!?'*";
const OPENING: Record<string, string> = { ")": "(", "]": "[" };

/** A part of a text; `href` where it is an address. */
export interface TextPart {
  text: string;
  href: string | null;
}

/** Parts of a text in order; together they are the text, unchanged. */
export function partsOf(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = withoutPunctuation(match[0]);
    const href = hrefOf(address);
    if (href === null) continue;
    if (match.index > end) parts.push({ text: text.slice(end, match.index), href: null });
    parts.push({ text: address, href });
    end = match.index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), href: null });
  return parts;
}

/**
 * The address without what ends its sentence, and without a bracket that was opened before it, as in
 * "(see https://example.com)". It may have 65,535 characters, so each is looked at a fixed number of times.
 */
function withoutPunctuation(address: string): string {
  const unclosed = new Map(Object.entries(OPENING).map(([closing, opening]) => [closing, count(address, opening) - count(address, closing)]));
  let end = address.length;
  for (; end > 0; end--) {
    const last = address.charAt(end - 1);
    const balance = unclosed.get(last);
    if (balance !== undefined && balance < 0) unclosed.set(last, balance + 1);
    else if (!SENTENCE_END.includes(last)) break;
  }
  return address.slice(0, end);
}

function count(text: string, character: string): number {
  let found = 0;
  for (const one of text) if (one === character) found++;
  return found;
}

/** Normal form of an address; null for what is none, or hides its host behind a user's name. */
function hrefOf(address: string): string | null {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || url.username !== "" || url.password !== "") return null;
  return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
}
