/** The language to start with. Small, for the first request too. */

import { browserStorage } from "../storage";

export type Language = "ko" | "en";

/** Key in the browser's storage of the language that the reader has chosen. */
export const KEPT = "board.language";

/** The reader's choice, else Korean, unless the browser prefers English to it. */
export function preferredLanguage(): Language {
  const chosen = browserStorage.getItem(KEPT);
  if (chosen === "ko" || chosen === "en") return chosen;
  const known = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag === "ko" || tag === "en");
  return known === "en" ? "en" : "ko";
}
