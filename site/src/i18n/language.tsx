/** The language of the pages: the reader's choice, else the browser's preference. */

import { createContext, useContext, useState, type ReactNode } from "react";
import { en } from "./en";
import { ko, type Texts } from "./ko";

export type Language = "ko" | "en";

const KEPT = "board.language";
const TEXTS: Record<Language, Texts> = { ko, en };

/** The language to start with: Korean, unless the browser prefers English to it. */
export function initialLanguage(chosen: string | null, preferred: readonly string[]): Language {
  if (chosen === "ko" || chosen === "en") return chosen;
  const known = preferred.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag === "ko" || tag === "en");
  return known === "en" ? "en" : "ko";
}

interface Choice {
  language: Language;
  setLanguage: (language: Language) => void;
}

const LanguageContext = createContext<Choice | null>(null);

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, choose] = useState(() => initialLanguage(localStorage.getItem(KEPT), navigator.languages));
  // Before the first render of a page, and for the client, which reads it for each request.
  document.documentElement.lang = language;
  const setLanguage = (chosen: Language) => {
    localStorage.setItem(KEPT, chosen);
    choose(chosen);
  };
  return <LanguageContext value={{ language, setLanguage }}>{children}</LanguageContext>;
}

export function useLanguage(): Choice {
  const choice = useContext(LanguageContext);
  if (!choice) throw new Error("LanguageProvider is missing");
  return choice;
}

/** Texts of the frame and of what readers see, in the reader's language. */
export const useText = (): Texts => useTexts(TEXTS);

/**
 * Texts of a page that is loaded when it is opened; it brings its own, so that readers load none of them.
 *
 * @param texts The same texts in each language.
 */
export function useTexts<T>(texts: Record<Language, T>): T {
  return texts[useLanguage().language];
}
