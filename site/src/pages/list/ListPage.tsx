import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import { postPage } from "../../api/posts";
import { Loading } from "../../components/Loading";
import { PageTitle } from "../../components/PageTitle";
import { PostList } from "../../components/PostList";
import { Problem } from "../../components/problems";
import { useApi } from "../../context";
import { useText } from "../../i18n/language";
import { choiceIn } from "./choice";

export function ListPage() {
  const text = useText();
  const [query] = useSearchParams();
  const choice = choiceIn(query);
  const page = useQuery(postPage(useApi(), choice));
  return (
    <>
      <PageTitle tab={text.siteName}>{choice.category ?? text.list.title}</PageTitle>
      {page.isPending && <Loading />}
      {page.isError && <Problem error={page.error} retry={() => void page.refetch()} />}
      {page.data && <PostList posts={page.data.posts} />}
    </>
  );
}
