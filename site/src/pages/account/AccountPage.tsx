import { PageTitle } from "../../components/PageTitle";
import { ForUsers } from "../../components/ForUsers";
import { useText } from "../../i18n/language";

export default function AccountPage() {
  const text = useText();
  return (
    <>
      <PageTitle>{text.nav.account}</PageTitle>
      <ForUsers>{(user) => <p dir="auto">{user.username}</p>}</ForUsers>
    </>
  );
}
