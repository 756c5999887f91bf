/** Start of the pages: configuration, session, client, then the first render. */

import "./styles/base.css"; // before the parts, whose styles add to it
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { createApi } from "./api/client";
import { ApiError } from "./api/errors";
import { App } from "./app";
import { CrashBoundary, CrashedBoard } from "./components/CrashBoundary";
import { NoticeProvider } from "./components/notices";
import { readConfig } from "./config";
import { BoardContext } from "./context";
import { takeEarly } from "./early";
import { LanguageProvider } from "./i18n/language";
import { issuerFor } from "./session/issuers";
import { Session } from "./session/session";

const RETRIES = 2;

const config = readConfig(document);
const session = new Session(issuerFor(config), new BroadcastChannel("board.session"));
const api = createApi({
  base: config.api,
  token: () => session.token(),
  renewedToken: (refused) => session.renew(refused),
  language: () => document.documentElement.lang,
  early: takeEarly,
});

/** A refusal stays one; only a fault of the way or of the server may pass. */
function mayPass(failures: number, error: Error): boolean {
  return failures < RETRIES && error instanceof ApiError && error.status >= 500;
}

const queries = new QueryClient({ defaultOptions: { queries: { staleTime: 15_000, retry: mayPass, networkMode: "always" }, mutations: { networkMode: "always" } } });

let shownTo: string | null = null;
session.subscribe(() => {
  const sub = session.current().user?.sub ?? null;
  // Answers differ by caller (likes, hidden posts), so nothing of the last one is kept.
  if (sub !== shownTo) void queries.resetQueries();
  shownTo = sub;
});
void session.start();

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <LanguageProvider>
      <CrashBoundary fallback={<CrashedBoard />}>
        <BoardContext value={{ config, api, session }}>
          <QueryClientProvider client={queries}>
            <BrowserRouter>
              <NoticeProvider>
                <App />
              </NoticeProvider>
            </BrowserRouter>
          </QueryClientProvider>
        </BoardContext>
      </CrashBoundary>
    </LanguageProvider>
  </StrictMode>,
);
