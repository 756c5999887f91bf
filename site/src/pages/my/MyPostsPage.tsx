import { PageTitle } from "../../components/PageTitle";
import { ForUsers } from "../../components/ForUsers";
import { useText } from "../../i18n/language";
import { MyPosts } from "./MyPosts";

export default function MyPostsPage() {
  const text = useText();
  return (
    <>
      <PageTitle>{text.nav.my}</PageTitle>
      <ForUsers>{() => <MyPosts />}</ForUsers>
    </>
  );
}
