/** Give the focus to the content, where it has no better place. */
export function focusMain(): void {
  document.getElementById("main")?.focus({ preventScroll: true });
}
