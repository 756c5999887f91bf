import { useText } from "../i18n/language";

export function Loading() {
  return (
    <p className="loading" role="status">
      {useText().loading}
    </p>
  );
}
