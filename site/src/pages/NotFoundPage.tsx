import { Link } from "react-router";
import { PageTitle } from "../components/PageTitle";
import { useText } from "../i18n/language";

export function NotFoundPage() {
  const text = useText();
  return (
    <>
      <PageTitle>{text.notFound.title}</PageTitle>
      <p>{text.notFound.text}</p>
      <Link className="button" to="/">
        {text.notFound.home}
      </Link>
    </>
  );
}
