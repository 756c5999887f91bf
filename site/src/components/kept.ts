/** Text of a dialog that was not sent: a session that ends, or a reload, takes the dialog away, but not what was typed. */

import { useState, type ChangeEvent } from "react";
import { useLocation } from "react-router";
import { useUser } from "../context";
import { keepIfRoom, tabStorage } from "../storage";

interface Kept {
  /** What the user typed here before, in this tab. */
  text: string;
  keep: (event: ChangeEvent<HTMLInputElement | HTMLTextAreaElement>) => void;
  /** To be called when the text was sent, or given up. */
  forget: () => void;
}

/** @param name Name of the field among those of the page. */
export function useKept(name: string): Kept {
  const { pathname } = useLocation();
  const sub = useUser()?.sub ?? "";
  const [kept] = useState(() => {
    const key = `board.typed ${sub} ${pathname} ${name}`;
    return {
      text: tabStorage.getItem(key) ?? "",
      keep: ({ target }: ChangeEvent<HTMLInputElement | HTMLTextAreaElement>) => keepIfRoom(tabStorage, key, target.value),
      forget: () => tabStorage.removeItem(key),
    };
  });
  return kept;
}
