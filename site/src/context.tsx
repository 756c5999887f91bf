/** What every page needs: the configuration, the API and the session. */

import { createContext, useContext, useSyncExternalStore } from "react";
import type { Api } from "./api/client";
import type { Config } from "./config";
import type { Session, SessionState } from "./session/session";
import type { User } from "./session/tokens";

interface Board {
  config: Config;
  api: Api;
  session: Session;
}

export const BoardContext = createContext<Board | null>(null);

function useBoard(): Board {
  const board = useContext(BoardContext);
  if (!board) throw new Error("BoardContext is missing");
  return board;
}

export const useApi = (): Api => useBoard().api;
export const useConfig = (): Config => useBoard().config;
export const useSession = (): Session => useBoard().session;

/** State of the session; the component renders again when it changes. */
export function useSessionState(): SessionState {
  const session = useSession();
  return useSyncExternalStore(session.subscribe, session.current);
}

/** The signed-in user; null for nobody, and until the session has started. */
export const useUser = (): User | null => useSessionState().user;
