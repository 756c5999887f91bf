/** Paths to return to after signing in. They come from URLs that anybody can make, so none leads to another site. */

/** Pages that only lead on; a return to one of them would go round in a circle. */
const PASSED_THROUGH = ["/sign-in", "/signed-in"];

/**
 * The path itself if it is a page of this site; else the list.
 *
 * @param path From a URL's query or from the session's storage.
 */
export function safePath(path: string | null): string {
  const origin = "https://board.invalid";
  // A browser reads "//x", "/\x" and "/<tab>/x" as another host's; so does `URL`, and the origin then tells.
  if (path === null || !path.startsWith("/") || !URL.canParse(path, origin)) return "/";
  const url = new URL(path, origin);
  if (url.origin !== origin || PASSED_THROUGH.includes(url.pathname)) return "/";
  // "/.//x" has this origin, but its path alone is another host's again.
  return url.pathname.replace(/^\/+/, "/") + url.search + url.hash;
}

/** Link to sign in and come back. */
export const signInLink = (returnTo: string): string => `/sign-in?to=${encodeURIComponent(returnTo)}`;
