/** The routes. The list and a post come with the first load, all else when it is opened. */

import { lazy, Suspense } from "react";
import { Navigate, Route, Routes, useLocation } from "react-router";
import { CrashBoundary, CrashedPage } from "./components/CrashBoundary";
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
const AdminFrame = lazy(() => import("./pages/admin/AdminFrame"));
const ReportsPage = lazy(() => import("./pages/admin/ReportsPage"));
const AdminPostsPage = lazy(() => import("./pages/admin/PostsPage"));
const CategoriesPage = lazy(() => import("./pages/admin/CategoriesPage"));
const LogPage = lazy(() => import("./pages/admin/LogPage"));
const UserPage = lazy(() => import("./pages/admin/UserPage"));

export function App() {
  const { pathname } = useLocation();
  return (
    <Layout>
      <CrashBoundary at={pathname} fallback={<CrashedPage />}>
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
            <Route path="/admin" element={<AdminFrame />}>
              <Route index element={<Navigate to="reports" replace />} />
              <Route path="reports" element={<ReportsPage />} />
              <Route path="posts" element={<AdminPostsPage />} />
              <Route path="categories" element={<CategoriesPage />} />
              <Route path="log" element={<LogPage />} />
              <Route path="users/:sub" element={<UserPage />} />
            </Route>
            <Route path="*" element={<NotFoundPage />} />
          </Routes>
        </Suspense>
      </CrashBoundary>
    </Layout>
  );
}
