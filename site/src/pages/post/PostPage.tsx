import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { postQuery } from "../../api/posts";
import { Loading } from "../../components/Loading";
import { PageTitle } from "../../components/PageTitle";
import { Problem } from "../../components/problems";
import { useApi } from "../../context";

export function PostPage() {
  const { id = "" } = useParams();
  const { data, error, refetch } = useQuery(postQuery(useApi(), id));
  if (error) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Loading />;
  return (
    <article className="post">
      <PageTitle>{data.post.title}</PageTitle>
      <div className="post-text" dir="auto">
        {data.post.content}
      </div>
    </article>
  );
}
