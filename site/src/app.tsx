/** The routes. The list and a post come with the first load, all else when it is opened. */

import { lazy, Suspense } from "react";
import { Route, Routes } from "react-router";
import { Layout } from "./components/Layout";
import { Loading } from "./components/Loading";
import { ListPage } from "./pages/list/ListPage";
import { NotFoundPage } from "./pages/NotFoundPage";
import { PostPage } from "./pages/post/PostPage";

const SignInPage = lazy(() => import("./pages/SignInPage"));

export function App() {
  return (
    <Layout>
      <Suspense fallback={<Loading />}>
        <Routes>
          <Route path="/" element={<ListPage />} />
          <Route path="/posts/:id" element={<PostPage />} />
          <Route path="/sign-in" element={<SignInPage />} />
          <Route path="*" element={<NotFoundPage />} />
        </Routes>
      </Suspense>
    </Layout>
  );
}
