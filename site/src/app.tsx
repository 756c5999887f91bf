/** The routes. The list and a post come with the first load, all else when it is opened. */

import { lazy, Suspense } from "react";
import { Route, Routes } from "react-router";
import { Layout } from "./components/Layout";
import { Loading } from "./components/Loading";
import { ListPage } from "./pages/list/ListPage";
import { NotFoundPage } from "./pages/NotFoundPage";
import { PostPage } from "./pages/post/PostPage";

const SignInPage = lazy(() => import("./pages/sign-in/SignInPage"));
const SignedInPage = lazy(() => import("./pages/sign-in/SignedInPage"));
const MyPostsPage = lazy(() => import("./pages/my/MyPostsPage"));
const AccountPage = lazy(() => import("./pages/account/AccountPage"));
const WritePage = lazy(() => import("./pages/write/WritePage"));

export function App() {
  return (
    <Layout>
      <Suspense fallback={<Loading />}>
        <Routes>
          <Route path="/" element={<ListPage />} />
          <Route path="/posts/:id" element={<PostPage />} />
          <Route element={<WritePage />}>
            <Route path="/write" element={null} />
            <Route path="/posts/:id/edit" element={null} />
          </Route>
          <Route path="/sign-in" element={<SignInPage />} />
          <Route path="/signed-in" element={<SignedInPage />} />
          <Route path="/my" element={<MyPostsPage />} />
          <Route path="/account" element={<AccountPage />} />
          <Route path="*" element={<NotFoundPage />} />
        </Routes>
      </Suspense>
    </Layout>
  );
}
