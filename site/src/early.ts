/**
 * The first request of the list, sent while the pages' code still loads.
 *
 * The build makes a small script of this file, which the page runs as soon as it is there. The code that comes later
 * imports it, and takes the answer in place of a request of its own.
 */

import { listQuery } from "./api/lists";
import type { ListChoice } from "./api/posts";
import { readConfig } from "./config";
import { preferredLanguage } from "./i18n/preference";
import { choiceIn } from "./pages/list/choice";
import { MARK } from "./session/marks";
import { tabStorage } from "./storage";

interface Early {
  url: URL;
  language: string;
  answer: Promise<Response>;
}

let early = begin();

function begin(): Early | null {
  // Who is signed in gets an answer of their own, and needs a token for it first.
  if (location.pathname !== "/" || tabStorage.getItem(MARK) !== null) return null;
  const url = new URL("/api/v1/posts", readConfig(document).api || location.origin);
  url.search = queryText(choiceIn(new URLSearchParams(location.search)));
  const language = preferredLanguage();
  const answer = fetch(url, { headers: { "Accept-Language": language } });
  answer.catch(() => {}); // it may fail before anybody waits for it; who takes it handles that
  return { url, language, answer };
}

function queryText(choice: ListChoice): string {
  return new URLSearchParams(Object.entries(listQuery(choice)).map(([name, value]) => [name, String(value)])).toString();
}

/** Answer to a request without a token, if it is the one that was sent early; null for any other, and for a second. */
export function takeEarly(url: string, language: string): Promise<Response> | null {
  if (early === null || language !== early.language || !isSame(new URL(url), early.url)) return null;
  const { answer } = early;
  early = null;
  return answer;
}

/** True if both URLs ask for the same; each writes a space in a query in its own way. */
function isSame(one: URL, other: URL): boolean {
  return one.origin + one.pathname === other.origin + other.pathname && one.searchParams.toString() === other.searchParams.toString();
}
