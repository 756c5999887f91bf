import { Component, type ReactNode } from "react";
import { useText } from "../i18n/language";

function Crashed() {
  const text = useText();
  return (
    <main className="crashed">
      <h1>{text.errors.crashed}</h1>
      <button className="button" onClick={() => location.reload()}>
        {text.errors.reload}
      </button>
    </main>
  );
}

/** Last resort for a fault in rendering, a chunk that a new release has replaced among them. */
export class CrashBoundary extends Component<{ children: ReactNode }, { crashed: boolean }> {
  override state = { crashed: false };

  static getDerivedStateFromError() {
    return { crashed: true };
  }

  override render() {
    return this.state.crashed ? <Crashed /> : this.props.children;
  }
}
