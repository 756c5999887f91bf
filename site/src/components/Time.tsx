import { inFull, spoken } from "../i18n/dates";
import { useLanguage } from "../i18n/language";

/** A time as people say it, in full on hover and for machines. */
export function Time({ at }: { at: string }) {
  const { language } = useLanguage();
  return (
    <time dateTime={at} title={inFull(at, language)}>
      {spoken(at, new Date(), language)}
    </time>
  );
}
