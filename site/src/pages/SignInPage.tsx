import { PageTitle } from "../components/PageTitle";
import { useText } from "../i18n/language";

export default function SignInPage() {
  return <PageTitle>{useText().nav.signIn}</PageTitle>;
}
