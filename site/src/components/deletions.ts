/** Posts that are about to be deleted: which they are, and when the service is told. Small, for readers' lists too. */

import { useSyncExternalStore } from "react";

interface Waiting {
  send: () => Promise<void>;
  /** Called when it waits no more: it is undone, or on its way. */
  onEnd: () => void;
}

export class Deletions {
  private waiting = new Map<string, Waiting>();
  private sending = new Map<string, Promise<void>>();
  private listeners = new Set<() => void>();

  /** Hold a post's deletion until `finish`. A post that is being deleted already stays so. */
  hold(id: string, deletion: Waiting): void {
    if (this.has(id)) return;
    this.waiting.set(id, deletion);
    this.tell();
  }

  /** Drop a deletion that has not been sent. */
  undo(id: string): void {
    const deletion = this.waiting.get(id);
    if (!deletion) return;
    this.waiting.delete(id);
    deletion.onEnd();
    this.tell();
  }

  /** Send a deletion that still waits; resolves when the service has answered. */
  finish(id: string): Promise<void> {
    const deletion = this.waiting.get(id);
    if (deletion) {
      this.waiting.delete(id);
      const answered = deletion.send().finally(() => {
        this.sending.delete(id);
        this.tell();
      });
      this.sending.set(id, answered);
      deletion.onEnd();
      this.tell();
    }
    return this.sending.get(id) ?? Promise.resolve();
  }

  /** Send all that wait; before the user or the page leaves. */
  async finishAll(): Promise<void> {
    const known = [...this.waiting.keys(), ...this.sending.keys()];
    await Promise.all(known.map((id) => this.finish(id)));
  }

  /** True from the click to the service's answer. */
  has(id: string): boolean {
    return this.waiting.has(id) || this.sending.has(id);
  }

  canUndo(id: string): boolean {
    return this.waiting.has(id);
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

/** Those of this page. They outlive the pages between which one moves. */
export const deletions = new Deletions();

/** True while a post is about to be deleted; a list strikes it out. */
export const useIsLeaving = (id: string): boolean => useSyncExternalStore(deletions.subscribe, () => deletions.has(id));

/** True while its deletion can still be undone. */
export const useCanUndo = (id: string): boolean =>
  useSyncExternalStore(deletions.subscribe, () => deletions.canUndo(id));
