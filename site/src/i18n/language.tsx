/** The language of the pages: the reader's choice, else the browser's preference. */

import { createContext, useContext, useState, type ReactNode } from "react";
import { browserStorage, keepIfRoom } from "../storage";
import { en } from "./en";
import { ko, type Texts } from "./ko";
import { KEPT, preferredLanguage, type Language } from "./preference";

const TEXTS: Record<Language, Texts> = { ko, en };

interface Choice {
  language: Language;
  setLanguage: (language: Language) => void;
}

const LanguageContext = createContext<Choice | null>(null);

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, choose] = useState(preferredLanguage);
  // Before the first render of a page, and for the client, which reads it for each request.
  document.documentElement.lang = language;
  const setLanguage = (chosen: Language) => {
    keepIfRoom(browserStorage, KEPT, chosen);
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
