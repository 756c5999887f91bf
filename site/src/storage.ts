/** What the browser keeps for the pages. It may refuse: by the reader's settings, or for lack of room. */

/** In place of a storage that the browser gives to nobody: empty, and full. */
const REFUSED: Storage = {
  length: 0,
  key: () => null,
  getItem: () => null,
  setItem: () => {
    throw new DOMException("The browser keeps nothing for this page", "QuotaExceededError");
  },
  removeItem: () => {},
  clear: () => {},
};

function open(name: "localStorage" | "sessionStorage"): Storage {
  try {
    return globalThis[name];
  } catch {
    return REFUSED; // `SecurityError`: the reader has blocked what sites keep
  }
}

/** Storage of all tabs, which stays. */
export const browserStorage = open("localStorage");
/** Storage of this tab. */
export const tabStorage = open("sessionStorage");

/** Keep what the page can do without, if the browser lets it. */
export function keepIfRoom(storage: Storage, key: string, value: string): void {
  try {
    storage.setItem(key, value);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}
