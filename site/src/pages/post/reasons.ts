/** Reasons of a report in words. */

import type { ReportReason } from "../../api/moderation";
import type { Language } from "../../i18n/preference";

export const REASONS: Record<Language, Record<ReportReason, string>> = {
  ko: { spam: "광고·도배", abuse: "욕설·괴롭힘", illegal: "불법 정보", privacy: "개인정보 노출", other: "기타" },
  en: { spam: "Spam", abuse: "Abuse", illegal: "Illegal content", privacy: "Private data", other: "Other" },
};
